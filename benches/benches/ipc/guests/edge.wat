;; Calls between the host and a component, both ways.
(component
  (import "add" (func $add (param "a" u32) (param "b" u32) (result u32)))
  (core func $add' (canon lower (func $add)))
  (core module $m
    (import "" "add" (func $add (param i32 i32) (result i32)))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "run") (param $n i32) (param $size i32) (result i32)
      (local $sum i32)
      (loop $again
        (local.set $sum (call $add (local.get $sum) (local.get $n)))
        (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $sum)))
  (core instance $i (instantiate $m (with "" (instance (export "add" (func $add'))))))
  (func (export "plus") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add")))
  (func (export "run") (param "n" u32) (param "size" u32) (result u32) (canon lift (core func $i "run"))))
