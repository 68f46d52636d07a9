;; The calls of `pair.wat` and `chain.wat` without components: functions of one module. What a call costs when nobody
;; is kept from anybody.
(component
  (core module $m
    (func $add (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func $2 (param i32 i32) (result i32) (call $add (local.get 0) (local.get 1)))
    (func $3 (param i32 i32) (result i32) (call $2 (local.get 0) (local.get 1)))
    (func $4 (param i32 i32) (result i32) (call $3 (local.get 0) (local.get 1)))
    (func $5 (param i32 i32) (result i32) (call $4 (local.get 0) (local.get 1)))
    (func $6 (param i32 i32) (result i32) (call $5 (local.get 0) (local.get 1)))
    (func $7 (param i32 i32) (result i32) (call $6 (local.get 0) (local.get 1)))
    (func $8 (param i32 i32) (result i32) (call $7 (local.get 0) (local.get 1)))
    (func (export "pair") (param $n i32) (param $size i32) (result i32)
      (local $sum i32)
      (loop $again
        (local.set $sum (call $add (local.get $sum) (local.get $n)))
        (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $sum))
    (func (export "chain") (param $n i32) (param $size i32) (result i32)
      (local $sum i32)
      (loop $again
        (local.set $sum (call $8 (local.get $sum) (local.get $n)))
        (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $sum)))
  (core instance $i (instantiate $m))
  (func (export "pair") (param "n" u32) (param "size" u32) (result u32) (canon lift (core func $i "pair")))
  (func (export "chain") (param "n" u32) (param "size" u32) (result u32) (canon lift (core func $i "chain"))))
