(component $proxy
  (import "shop:kv/store@0.1.0" (instance $from (export "get" (func (param "key" u32) (result u32)))))
  (core func $from (canon lower (func $from "get")))
  (core module $code
    (import "from" "f" (func $f (param i32) (result i32)))
    (func (export "f") (param i32) (result i32) (i32.add (call $f (local.get 0)) (i32.const 1))))
  (core instance $code (instantiate $code (with "from" (instance (export "f" (func $from))))))
  (func $f (param "key" u32) (result u32) (canon lift (core func $code "f")))
  (instance $to (export "get" (func $f)))
  (export "shop:kv/store@0.1.0" (instance $to)))
