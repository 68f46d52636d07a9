(component $front
  (import "shop:cart/cart" (instance $from (export "add" (func (param "item" u32) (result u32)))))
  (core func $from (canon lower (func $from "add")))
  (core module $code
    (import "from" "f" (func $f (param i32) (result i32)))
    (func (export "f") (param i32) (result i32) (i32.add (call $f (local.get 0)) (i32.const 1))))
  (core instance $code (instantiate $code (with "from" (instance (export "f" (func $from))))))
  (func $f (param "item" u32) (result u32) (canon lift (core func $code "f")))
  (instance $to (export "order" (func $f)))
  (export "shop:front/front" (instance $to)))
