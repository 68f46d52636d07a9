(component $clock
  (import "wasi:clocks/monotonic-clock@0.2.3" (instance $clock (export "now" (func (result u64)))))
  (core func $now (canon lower (func $clock "now")))
  (core module $code
    (import "clock" "now" (func $now (result i64)))
    (func (export "age") (result i64) (call $now)))
  (core instance $code (instantiate $code (with "clock" (instance (export "now" (func $now))))))
  (func $age (result u64) (canon lift (core func $code "age")))
  (export "age" (func $age)))
