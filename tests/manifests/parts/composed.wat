(component $composed
  (component $kv
    (core module $code (func (export "get") (param i32) (result i32) (i32.const 7)))
    (core instance $code (instantiate $code))
    (func (export "get") (param "key" u32) (result u32) (canon lift (core func $code "get"))))
  (component $desk
    (import "get" (func $get (param "key" u32) (result u32)))
    (core func $get (canon lower (func $get)))
    (core module $code
      (import "kv" "get" (func $get (param i32) (result i32)))
      (func (export "ask") (param i32) (result i32) (call $get (local.get 0))))
    (core instance $code (instantiate $code (with "kv" (instance (export "get" (func $get))))))
    (func (export "ask") (param "key" u32) (result u32) (canon lift (core func $code "ask"))))
  (instance $kv (instantiate $kv))
  (instance $desk (instantiate $desk (with "get" (func $kv "get"))))
  (export "ask" (func $desk "ask")))
