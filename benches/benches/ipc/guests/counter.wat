;; A resource of a sibling: a method call, and a constructor with its drop.
(component
  (component $Counters
    (core module $libc
      (memory (export "mem") 1)
      (func (export "drop") (param i32)))
    (core instance $libc (instantiate $libc))
    (type $counter' (resource (rep i32) (dtor (func $libc "drop"))))
    (export $counter "counter" (type $counter'))
    (core func $new (canon resource.new $counter'))
    (core module $m
      (import "" "new" (func $new (param i32) (result i32)))
      (func (export "new") (param i32) (result i32) (call $new (local.get 0)))
      (func (export "get") (param i32) (result i32) (local.get 0)))
    (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
    (func (export "[constructor]counter") (param "at" u32) (result (own $counter))
      (canon lift (core func $i "new")))
    (func (export "[method]counter.value") (param "self" (borrow $counter)) (result u32)
      (canon lift (core func $i "get"))))
  (component $Caller
    (import "counters" (instance $counters
      (export "counter" (type $counter (sub resource)))
      (export "[constructor]counter" (func (param "at" u32) (result (own $counter))))
      (export "[method]counter.value" (func (param "self" (borrow $counter)) (result u32)))))
    (alias export $counters "counter" (type $counter))
    (core func $new (canon lower (func $counters "[constructor]counter")))
    (core func $value (canon lower (func $counters "[method]counter.value")))
    (core func $drop (canon resource.drop $counter))
    (core module $m
      (import "" "new" (func $new (param i32) (result i32)))
      (import "" "value" (func $value (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "method") (param $n i32) (param $size i32) (result i32)
        (local $sum i32) (local $counter i32)
        (local.set $counter (call $new (i32.const 3)))
        (loop $again
          (local.set $sum (i32.add (local.get $sum) (call $value (local.get $counter))))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (call $drop (local.get $counter))
        (local.get $sum))
      (func (export "life") (param $n i32) (param $size i32) (result i32)
        (local $sum i32) (local $counter i32)
        (loop $again
          (local.set $counter (call $new (local.get $n)))
          (local.set $sum (i32.add (local.get $sum) (local.get $counter)))
          (call $drop (local.get $counter))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $sum)))
    (core instance $i (instantiate $m (with "" (instance
      (export "new" (func $new)) (export "value" (func $value)) (export "drop" (func $drop))))))
    (func (export "method") (param "n" u32) (param "size" u32) (result u32) (canon lift (core func $i "method")))
    (func (export "life") (param "n" u32) (param "size" u32) (result u32) (canon lift (core func $i "life"))))
  (instance $counters (instantiate $Counters))
  (instance $caller (instantiate $Caller (with "counters" (instance $counters))))
  (export "method" (func $caller "method"))
  (export "life" (func $caller "life")))
