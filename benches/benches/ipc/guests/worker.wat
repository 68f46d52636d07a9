;; A process that can begin a domain: it does what it is asked, or traps.
(component
  (component $Worker
    (core module $m
      (memory (export "mem") 1)
      (data (i32.const 16) "hello")
      (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
      (func (export "fail") (param i32 i32) (result i32) (unreachable)))
    (core instance $i (instantiate $m))
    (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add")))
    (func (export "fail") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "fail"))))
  (instance $worker (instantiate $Worker))
  (export "add" (func $worker "add"))
  (export "fail" (func $worker "fail")))
