;; The store: `example:shop/stock` (wit/shop.wit). Its shelves are its memory: a store that begins again has full ones.
(component $store
  (core module $store
    (memory (export "memory") 1)
    ;; What callers send is put from 1024 on, one call at a time, so it can always go to the same place.
    (global $top (mut i32) (i32.const 1024))
    (func (export "realloc") (param $old i32) (param $old-bytes i32) (param $align i32) (param $bytes i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and
        (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $top (i32.add (local.get $at) (local.get $bytes)))
      (if (i32.gt_u (global.get $top) (i32.const 65536)) (then unreachable))
      (memory.copy (local.get $at) (local.get $old) (local.get $old-bytes))
      (local.get $at))

    ;; Names, and from 128 on the shelves, 16 bytes each: where the name is, its length, the price, how many are left.
    (data (i32.const 64) "teabreadhoneyvase")
    (data (i32.const 128)
      "\40\00\00\00" "\03\00\00\00" "\03\00\00\00" "\0a\00\00\00"
      "\43\00\00\00" "\05\00\00\00" "\04\00\00\00" "\08\00\00\00"
      "\48\00\00\00" "\05\00\00\00" "\06\00\00\00" "\02\00\00\00"
      "\4d\00\00\00" "\04\00\00\00" "\63\00\00\00" "\01\00\00\00")
    (global $end i32 (i32.const 192))
    (global $vase i32 (i32.const 176))

    (func $same (param $a i32) (param $a-bytes i32) (param $b i32) (param $b-bytes i32) (result i32)
      (if (i32.ne (local.get $a-bytes) (local.get $b-bytes)) (then (return (i32.const 0))))
      (loop $next
        (if (i32.eqz (local.get $a-bytes)) (then (return (i32.const 1))))
        (local.set $a-bytes (i32.sub (local.get $a-bytes) (i32.const 1)))
        (br_if $next (i32.eq
          (i32.load8_u (i32.add (local.get $a) (local.get $a-bytes)))
          (i32.load8_u (i32.add (local.get $b) (local.get $a-bytes))))))
      (i32.const 0))

    ;; The shelf of a name; 0 if there is none.
    (func $find (param $name i32) (param $bytes i32) (result i32)
      (local $shelf i32)
      (local.set $shelf (i32.const 128))
      (loop $next
        (if (call $same (local.get $name) (local.get $bytes) (i32.load (local.get $shelf)) (i32.load offset=4 (local.get $shelf)))
          (then (return (local.get $shelf))))
        (local.set $shelf (i32.add (local.get $shelf) (i32.const 16)))
        (br_if $next (i32.lt_u (local.get $shelf) (global.get $end))))
      (i32.const 0))

    ;; The result is at 16: 0 and the item from 20 on, or 1 and the case of the refusal at 20.
    (func $refuse (param $case i32) (result i32)
      (i32.store (i32.const 16) (i32.const 1))
      (i32.store (i32.const 20) (local.get $case))
      (i32.const 16))

    (func (export "take") (param $name i32) (param $bytes i32) (result i32)
      (local $shelf i32)
      (global.set $top (i32.const 1024))
      (local.set $shelf (call $find (local.get $name) (local.get $bytes)))
      (if (i32.eqz (local.get $shelf)) (then (return (call $refuse (i32.const 0)))))
      (if (i32.eq (local.get $shelf) (global.get $vase)) (then (call $break-down)))
      (if (i32.eqz (i32.load offset=12 (local.get $shelf))) (then (return (call $refuse (i32.const 1)))))
      (i32.store offset=12 (local.get $shelf) (i32.sub (i32.load offset=12 (local.get $shelf)) (i32.const 1)))
      (i32.store (i32.const 16) (i32.const 0))
      ;; The shelf is laid out as the item is.
      (memory.copy (i32.const 20) (local.get $shelf) (i32.const 16))
      (i32.const 16))

    (func $break-down (export "break-down") unreachable))
  (core instance $code (instantiate $store))

  (type $item (record (field "name" string) (field "price" u32) (field "left" u32)))
  (type $refusal (variant (case "unknown") (case "sold-out") (case "internal-error" (option string))))
  (func $take (param "name" string) (result (result $item (error $refusal)))
    (canon lift (core func $code "take") (memory (core memory $code "memory")) (realloc (core func $code "realloc"))))
  (func $break-down (canon lift (core func $code "break-down")))
  (instance (export "example:shop/stock@0.1.0")
    (export "item" (type $item))
    (export "refusal" (type $refusal))
    (export "take" (func $take))
    (export "break-down" (func $break-down))))
