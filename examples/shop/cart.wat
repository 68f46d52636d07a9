;; The cart: `example:shop/carts` (wit/shop.wit). It asks the store for each thing, and adds up what it costs.
(component $cart
  (import "example:shop/stock@0.1.0" (instance $stock
    (type $item' (record (field "name" string) (field "price" u32) (field "left" u32)))
    (export "item" (type $item (eq $item')))
    (type $refusal' (variant (case "unknown") (case "sold-out") (case "internal-error" (option string))))
    (export "refusal" (type $refusal (eq $refusal')))
    (export "take" (func (param "name" string) (result (result $item (error $refusal)))))))
  (alias export $stock "item" (type $item))
  (alias export $stock "refusal" (type $refusal))

  (core module $heap
    (memory (export "memory") 1)
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
    ;; After each call: what came with it is not needed any more.
    (func (export "forget") (param $result i32) (global.set $top (i32.const 1024))))
  (core instance $heap (instantiate $heap))
  (core func $take (canon lower (func $stock "take")
    (memory (core memory $heap "memory")) (realloc (core func $heap "realloc"))))

  (core module $carts
    (import "heap" "memory" (memory 1))
    (import "heap" "forget" (func $forget (param i32)))
    (import "stock" "take" (func $take (param $name i32) (param $bytes i32) (param $result i32)))
    (import "cart" "new" (func $new (param i32) (result i32)))
    ;; Carts are from 256 to 1024, 12 bytes each: whether somebody has it, how many things are in it, what they cost.
    (func (export "constructor") (param $customer i32) (param $bytes i32) (result i32)
      (local $cart i32)
      (local.set $cart (i32.const 256))
      (loop $next
        (if (i32.gt_u (local.get $cart) (i32.const 1000)) (then unreachable))
        (if (i32.load (local.get $cart)) (then
          (local.set $cart (i32.add (local.get $cart) (i32.const 12)))
          (br $next))))
      (i32.store (local.get $cart) (i32.const 1))
      (i64.store offset=4 align=4 (local.get $cart) (i64.const 0))
      (call $forget (i32.const 0))
      (call $new (local.get $cart)))
    (func (export "destructor") (param $cart i32)
      (i32.store (local.get $cart) (i32.const 0)))
    ;; What the store says is put at 16, and is the answer.
    (func (export "add") (param $cart i32) (param $name i32) (param $bytes i32) (result i32)
      (call $take (local.get $name) (local.get $bytes) (i32.const 16))
      (if (i32.eqz (i32.load8_u (i32.const 16))) (then
        (i32.store offset=4 (local.get $cart) (i32.add (i32.load offset=4 (local.get $cart)) (i32.const 1)))
        (i32.store offset=8 (local.get $cart) (i32.add (i32.load offset=8 (local.get $cart)) (i32.load (i32.const 28))))))
      (i32.const 16))
    ;; A cart is laid out as its receipt is, from its second number on.
    (func (export "pay") (param $cart i32) (result i32)
      (i32.add (local.get $cart) (i32.const 4))))
  (core module $destructor
    ;; The type needs its destructor before the code that has it can be given the type: this stands between them.
    (table (export "table") 1 funcref)
    (type $destructor (func (param i32)))
    (func (export "destructor") (param i32)
      (call_indirect (type $destructor) (local.get 0) (i32.const 0))))
  (core instance $destructor (instantiate $destructor))
  (type $cart (resource (rep i32) (dtor (core func $destructor "destructor"))))
  (core func $new (canon resource.new $cart))
  (core instance $code (instantiate $carts
    (with "heap" (instance $heap))
    (with "stock" (instance (export "take" (func $take))))
    (with "cart" (instance (export "new" (func $new))))))
  (core module $fill
    (import "" "table" (table 1 funcref))
    (import "" "destructor" (func $destructor (param i32)))
    (elem (i32.const 0) func $destructor))
  (core instance (instantiate $fill (with "" (instance
    (export "table" (table $destructor "table"))
    (export "destructor" (func $code "destructor"))))))

  (type $receipt (record (field "items" u32) (field "total" u32)))
  (func $constructor (param "customer" string) (result (own $cart))
    (canon lift (core func $code "constructor")
      (memory (core memory $heap "memory")) (realloc (core func $heap "realloc"))))
  (func $add (param "self" (borrow $cart)) (param "name" string) (result (result $item (error $refusal)))
    (canon lift (core func $code "add")
      (memory (core memory $heap "memory")) (realloc (core func $heap "realloc"))
      (post-return (core func $heap "forget"))))
  (func $pay (param "self" (borrow $cart)) (result $receipt)
    (canon lift (core func $code "pay") (memory (core memory $heap "memory"))))

  ;; An interface with a resource is the exports of a component: there the resource gets its name.
  (component $carts
    (type $item-of (record (field "name" string) (field "price" u32) (field "left" u32)))
    (import "item" (type $item' (eq $item-of)))
    (type $refusal-of (variant (case "unknown") (case "sold-out") (case "internal-error" (option string))))
    (import "refusal" (type $refusal' (eq $refusal-of)))
    (type $receipt-of (record (field "items" u32) (field "total" u32)))
    (import "receipt" (type $receipt' (eq $receipt-of)))
    (import "cart" (type $cart' (sub resource)))
    (import "constructor" (func $constructor (param "customer" string) (result (own $cart'))))
    (import "add" (func $add (param "self" (borrow $cart')) (param "name" string) (result (result $item' (error $refusal')))))
    (import "pay" (func $pay (param "self" (borrow $cart')) (result $receipt')))
    (export $item "item" (type $item'))
    (export $refusal "refusal" (type $refusal'))
    (export $receipt "receipt" (type $receipt'))
    (export $cart "cart" (type $cart'))
    (export "[constructor]cart" (func $constructor)
      (func (param "customer" string) (result (own $cart))))
    (export "[method]cart.add" (func $add)
      (func (param "self" (borrow $cart)) (param "name" string) (result (result $item (error $refusal)))))
    (export "[method]cart.pay" (func $pay)
      (func (param "self" (borrow $cart)) (result $receipt))))
  (instance $carts (instantiate $carts
    (with "item" (type $item))
    (with "refusal" (type $refusal))
    (with "receipt" (type $receipt))
    (with "cart" (type $cart))
    (with "constructor" (func $constructor))
    (with "add" (func $add))
    (with "pay" (func $pay))))
  (export "example:shop/carts@0.1.0" (instance $carts)))
