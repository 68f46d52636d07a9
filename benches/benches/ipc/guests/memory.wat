;; A component with one memory, to be brought up and thrown away.
(component
  (core module $m
    (memory (export "mem") 1)
    (data (i32.const 16) "hello")
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
  (core instance $i (instantiate $m))
  (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add"))))
