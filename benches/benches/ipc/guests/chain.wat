;; A call that goes through eight components, each calling the next.
(component
  (component $Adder
    (core module $m
      (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
    (core instance $i (instantiate $m))
    (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add"))))
  (component $Link
    (import "add" (func $add (param "a" u32) (param "b" u32) (result u32)))
    (core func $add' (canon lower (func $add)))
    (core module $m
      (import "" "add" (func $add (param i32 i32) (result i32)))
      (func (export "add") (param i32 i32) (result i32) (call $add (local.get 0) (local.get 1))))
    (core instance $i (instantiate $m (with "" (instance (export "add" (func $add'))))))
    (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add"))))
  (component $Caller
    (import "add" (func $add (param "a" u32) (param "b" u32) (result u32)))
    (core func $add' (canon lower (func $add)))
    (core module $m
      (import "" "add" (func $add (param i32 i32) (result i32)))
      (func (export "run") (param $n i32) (param $size i32) (result i32)
        (local $sum i32)
        (loop $again
          (local.set $sum (call $add (local.get $sum) (local.get $n)))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $sum)))
    (core instance $i (instantiate $m (with "" (instance (export "add" (func $add'))))))
    (func (export "run") (param "n" u32) (param "size" u32) (result u32) (canon lift (core func $i "run"))))
  (instance $1 (instantiate $Adder))
  (instance $2 (instantiate $Link (with "add" (func $1 "add"))))
  (instance $3 (instantiate $Link (with "add" (func $2 "add"))))
  (instance $4 (instantiate $Link (with "add" (func $3 "add"))))
  (instance $5 (instantiate $Link (with "add" (func $4 "add"))))
  (instance $6 (instantiate $Link (with "add" (func $5 "add"))))
  (instance $7 (instantiate $Link (with "add" (func $6 "add"))))
  (instance $8 (instantiate $Link (with "add" (func $7 "add"))))
  (instance $caller (instantiate $Caller (with "add" (func $8 "add"))))
  (export "run" (func $caller "run")))
