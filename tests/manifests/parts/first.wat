(component $first
  (import "a:b/one" (instance $from (export "f" (func (param "n" u32) (result u32)))))
  (core func $from (canon lower (func $from "f")))
  (core module $code
    (import "from" "f" (func $f (param i32) (result i32)))
    (func (export "f") (param i32) (result i32) (i32.add (call $f (local.get 0)) (i32.const 1))))
  (core instance $code (instantiate $code (with "from" (instance (export "f" (func $from))))))
  (func $f (param "n" u32) (result u32) (canon lift (core func $code "f")))
  (instance $to (export "g" (func $f)))
  (export "a:b/two" (instance $to)))
