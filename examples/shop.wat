;; What a fault takes with it, and what not: front asks cart, cart asks store; bell has nothing to do with them.
;;
;;   /shop
;;   ├─ store   takes things off its shelf: item 10 and beyond trap, item 7 takes forever, item 8 hoards memory
;;   ├─ cart    asks store what an item costs, adds it up
;;   ├─ front   takes orders: asks cart
;;   └─ bell    rings
;;
;;   cargo run -- run --invoke 'order(4)' examples/shop.wat                                  ok(40)
;;   cargo run -- run --invoke 'order(12)' examples/shop.wat                                 a fault: store, cart, front end
;;   cargo run -- run --isolate store --on-fault error --invoke 'order(12)' examples/shop.wat    err("…"), nobody else ends
;;   cargo run -- run --isolate store --on-fault error --deadline 50ms --invoke 'order(7)' examples/shop.wat
;;   cargo run -- run --memory store=1MiB --invoke 'order(8)' examples/shop.wat              ok(16): so many pages it got
;;   cargo run -- tree --isolate store,bell --on-fault store=error examples/shop.wat
(component $shop
  (component $store
    (core module $store
      (memory (export "memory") 1)
      (func $take (export "take") (param $item i32) (result i32)
        (if (i32.gt_u (local.get $item) (i32.const 9)) (then (unreachable)))
        (if (i32.eq (local.get $item) (i32.const 7)) (then (loop $forever (br $forever))))
        (if (i32.eq (local.get $item) (i32.const 8)) (then
          ;; At most 1024 pages: nobody who runs this without a limit should suffer.
          (loop $more
            (br_if $more (i32.and
              (i32.lt_u (memory.size) (i32.const 1023))
              (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))))
          (i32.store (i32.const 20) (memory.size))
          (return (i32.const 16))))
        (i32.store (i32.const 20) (i32.mul (local.get $item) (i32.const 10)))
        (i32.const 16)))
    (core instance $code (instantiate $store))
    (func (export "take") (param "item" u32) (result (result u32 (error string)))
      (canon lift (core func $code "take") (memory (core memory $code "memory")))))

  (component $cart
    (import "take" (func $take (param "item" u32) (result (result u32 (error string)))))
    (core module $heap
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
    (core instance $heap (instantiate $heap))
    (core func $take' (canon lower (func $take)
      (memory (core memory $heap "memory")) (realloc (core func $heap "realloc"))))
    (core module $cart
      (import "store" "take" (func $take (param i32 i32)))
      (import "heap" "memory" (memory 1))
      (global $total (mut i32) (i32.const 0))
      (func $add (export "add") (param $item i32) (result i32)
        (call $take (local.get $item) (i32.const 16))
        (if (i32.eqz (i32.load8_u (i32.const 16))) (then
          (global.set $total (i32.add (global.get $total) (i32.load (i32.const 20))))
          (i32.store (i32.const 20) (global.get $total))))
        (i32.const 16)))
    (core instance $code (instantiate $cart
      (with "store" (instance (export "take" (func $take'))))
      (with "heap" (instance $heap))))
    (func (export "add") (param "item" u32) (result (result u32 (error string)))
      (canon lift (core func $code "add") (memory (core memory $heap "memory")))))

  (component $front
    (import "add" (func $add (param "item" u32) (result (result u32 (error string)))))
    (core module $heap
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
    (core instance $heap (instantiate $heap))
    (core func $add' (canon lower (func $add)
      (memory (core memory $heap "memory")) (realloc (core func $heap "realloc"))))
    (core module $front
      (import "cart" "add" (func $add (param i32 i32)))
      (import "heap" "memory" (memory 1))
      (func $order (export "order") (param $item i32) (result i32)
        (call $add (local.get $item) (i32.const 16))
        (i32.const 16)))
    (core instance $code (instantiate $front
      (with "cart" (instance (export "add" (func $add'))))
      (with "heap" (instance $heap))))
    (func (export "order") (param "item" u32) (result (result u32 (error string)))
      (canon lift (core func $code "order") (memory (core memory $heap "memory")))))

  (component $bell
    (core module $bell
      (global $rung (mut i32) (i32.const 0))
      (func $ring (export "ring") (result i32)
        (global.set $rung (i32.add (global.get $rung) (i32.const 1)))
        (global.get $rung)))
    (core instance $code (instantiate $bell))
    (func (export "ring") (result u32) (canon lift (core func $code "ring"))))

  (instance $store (instantiate $store))
  (instance $cart (instantiate $cart (with "take" (func $store "take"))))
  (instance $front (instantiate $front (with "add" (func $cart "add"))))
  (instance $bell (instantiate $bell))
  (export "order" (func $front "order"))
  (export "ring" (func $bell "ring")))
