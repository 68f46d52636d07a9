(component $store
  (core module $code (func (export "get") (param i64) (result i32) (i32.const 7)))
  (core instance $code (instantiate $code))
  (func $get (param "key" u64) (result u32) (canon lift (core func $code "get")))
  (instance $store (export "get" (func $get)))
  (export "shop:kv/store@0.1.2" (instance $store)))
