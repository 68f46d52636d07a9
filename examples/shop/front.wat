;; The front: a command that serves one customer after the other, twice a second, and prints what each has bought.
(component $front
  ;; wasi:cli 0.2, as far as it is used here.
  (import "wasi:io/error@0.2.0" (instance $io-error
    (export "error" (type (sub resource)))))
  (alias export $io-error "error" (type $error))
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer $front $pollable (type $outer-pollable))
    (export "pollable" (type $pollable (eq $outer-pollable)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer $front $error (type $outer-error))
    (export "error" (type $error (eq $outer-error)))
    (export "output-stream" (type $output-stream (sub resource)))
    (type $stream-error' (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $stream-error')))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $output-stream)) (param "contents" (list u8))
        (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $output-stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer $front $output-stream (type $outer-stream))
    (export "output-stream" (type $output-stream (eq $outer-stream)))
    (export "get-stdout" (func (result (own $output-stream))))))

  ;; wit/shop.wit
  (import "example:shop/stock@0.1.0" (instance $stock
    (type $item' (record (field "name" string) (field "price" u32) (field "left" u32)))
    (export "item" (type $item (eq $item')))
    (type $refusal' (variant (case "unknown") (case "sold-out") (case "internal-error" (option string))))
    (export "refusal" (type $refusal (eq $refusal')))))
  (alias export $stock "item" (type $item))
  (alias export $stock "refusal" (type $refusal))
  (import "example:shop/carts@0.1.0" (instance $carts
    (alias outer $front $item (type $outer-item))
    (export "item" (type $item (eq $outer-item)))
    (alias outer $front $refusal (type $outer-refusal))
    (export "refusal" (type $refusal (eq $outer-refusal)))
    (type $receipt' (record (field "items" u32) (field "total" u32)))
    (export "receipt" (type $receipt (eq $receipt')))
    (export "cart" (type $cart (sub resource)))
    (export "[constructor]cart" (func (param "customer" string) (result (own $cart))))
    (export "[method]cart.add"
      (func (param "self" (borrow $cart)) (param "name" string) (result (result $item (error $refusal)))))
    (export "[method]cart.pay" (func (param "self" (borrow $cart)) (result $receipt)))))
  (alias export $carts "cart" (type $cart))

  (core module $heap
    (memory (export "memory") 1)
    (global $top (mut i32) (i32.const 4096))
    (func (export "realloc") (param $old i32) (param $old-bytes i32) (param $align i32) (param $bytes i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and
        (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $top (i32.add (local.get $at) (local.get $bytes)))
      (if (i32.gt_u (global.get $top) (i32.const 65536)) (then unreachable))
      (memory.copy (local.get $at) (local.get $old) (local.get $old-bytes))
      (local.get $at))
    ;; After each customer: what answers brought is not needed any more.
    (func (export "forget") (global.set $top (i32.const 4096))))
  (core instance $heap (instantiate $heap))
  (core func $get-stdout (canon lower (func $stdout "get-stdout")))
  (core func $write (canon lower (func $streams "[method]output-stream.blocking-write-and-flush")
    (memory (core memory $heap "memory"))))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $drop-pollable (canon resource.drop $pollable))
  (core func $open (canon lower (func $carts "[constructor]cart") (memory (core memory $heap "memory"))))
  (core func $add (canon lower (func $carts "[method]cart.add")
    (memory (core memory $heap "memory")) (realloc (core func $heap "realloc"))))
  (core func $pay (canon lower (func $carts "[method]cart.pay") (memory (core memory $heap "memory"))))
  (core func $drop-cart (canon resource.drop $cart))

  (core module $front
    (import "heap" "memory" (memory 1))
    (import "heap" "forget" (func $forget))
    (import "sys" "get-stdout" (func $get-stdout (result i32)))
    (import "sys" "write" (func $write (param $stream i32) (param $text i32) (param $bytes i32) (param $result i32)))
    (import "sys" "subscribe" (func $subscribe (param $ns i64) (result i32)))
    (import "sys" "block" (func $block (param $pollable i32)))
    (import "sys" "drop-pollable" (func $drop-pollable (param i32)))
    (import "carts" "open" (func $open (param $customer i32) (param $bytes i32) (result i32)))
    (import "carts" "add" (func $add (param $cart i32) (param $name i32) (param $bytes i32) (param $result i32)))
    (import "carts" "pay" (func $pay (param $cart i32) (param $result i32)))
    (import "carts" "drop" (func $drop (param $cart i32)))

    (data (i32.const 64) "annbobevejoe")
    (data (i32.const 80) "teabreadhoneyvase")
    ;; Customers, 16 bytes each: where the name is and how long, and the same of two wishes.
    (data (i32.const 128)
      "\40\03\50\03\53\05" "\00\00\00\00\00\00\00\00\00\00"
      "\43\03\58\05\50\03" "\00\00\00\00\00\00\00\00\00\00"
      "\46\03\53\05\5d\04" "\00\00\00\00\00\00\00\00\00\00"
      "\49\03\50\03\58\05" "\00\00\00\00\00\00\00\00\00\00")
    (data (i32.const 256) ": ")
    (data (i32.const 258) ", ")
    (data (i32.const 260) " ")
    (data (i32.const 261) " (")
    (data (i32.const 263) " left)")
    (data (i32.const 269) " is unknown")
    (data (i32.const 280) " is sold out")
    (data (i32.const 292) " was not to be had: ")
    (data (i32.const 312) "the store is not well")
    (data (i32.const 333) "; pays ")
    (data (i32.const 340) " for ")
    (data (i32.const 345) "\n")

    ;; The line that is being written is from 1024 to 2048; what is longer is cut.
    (global $line (mut i32) (i32.const 1024))
    (func $say (param $text i32) (param $bytes i32)
      (if (i32.gt_u (i32.add (global.get $line) (local.get $bytes)) (i32.const 2040)) (then (return)))
      (memory.copy (global.get $line) (local.get $text) (local.get $bytes))
      (global.set $line (i32.add (global.get $line) (local.get $bytes))))
    (func $say-number (param $number i32)
      (if (i32.ge_u (local.get $number) (i32.const 10)) (then
        (call $say-number (i32.div_u (local.get $number) (i32.const 10)))))
      (i32.store8 (i32.const 40) (i32.add (i32.const 48) (i32.rem_u (local.get $number) (i32.const 10))))
      (call $say (i32.const 40) (i32.const 1)))
    (func $print (param $out i32)
      (call $say (i32.const 345) (i32.const 1))
      (call $write (local.get $out) (i32.const 1024) (i32.sub (global.get $line) (i32.const 1024)) (i32.const 40))
      (global.set $line (i32.const 1024)))

    ;; Why something was not to be had: the option of a text at 24 is what the system says when a callee has failed.
    (func $say-refusal
      (if (i32.eqz (i32.load8_u (i32.const 20))) (then (call $say (i32.const 269) (i32.const 11)) (return)))
      (if (i32.eq (i32.load8_u (i32.const 20)) (i32.const 1)) (then (call $say (i32.const 280) (i32.const 12)) (return)))
      (call $say (i32.const 292) (i32.const 20))
      (if (i32.load8_u (i32.const 24))
        (then (call $say (i32.load (i32.const 28)) (i32.load (i32.const 32))))
        (else (call $say (i32.const 312) (i32.const 21)))))

    ;; Puts something into a cart, and says what became of that. The result is at 16.
    (func $want (param $cart i32) (param $name i32) (param $bytes i32)
      (call $add (local.get $cart) (local.get $name) (local.get $bytes) (i32.const 16))
      (call $say (local.get $name) (local.get $bytes))
      (if (i32.load8_u (i32.const 16)) (then (call $say-refusal) (return)))
      (call $say (i32.const 260) (i32.const 1))
      (call $say-number (i32.load (i32.const 28)))
      (call $say (i32.const 261) (i32.const 2))
      (call $say-number (i32.load (i32.const 32)))
      (call $say (i32.const 263) (i32.const 6)))

    (func $serve (param $out i32) (param $customer i32)
      (local $cart i32)
      (local.set $cart (call $open (i32.load8_u (local.get $customer)) (i32.load8_u offset=1 (local.get $customer))))
      (call $say (i32.load8_u (local.get $customer)) (i32.load8_u offset=1 (local.get $customer)))
      (call $say (i32.const 256) (i32.const 2))
      (call $want (local.get $cart) (i32.load8_u offset=2 (local.get $customer)) (i32.load8_u offset=3 (local.get $customer)))
      (call $say (i32.const 258) (i32.const 2))
      (call $want (local.get $cart) (i32.load8_u offset=4 (local.get $customer)) (i32.load8_u offset=5 (local.get $customer)))
      (call $pay (local.get $cart) (i32.const 16))
      (call $say (i32.const 333) (i32.const 7))
      (call $say-number (i32.load (i32.const 20)))
      (call $say (i32.const 340) (i32.const 5))
      (call $say-number (i32.load (i32.const 16)))
      (call $print (local.get $out))
      (call $drop (local.get $cart))
      (call $forget))

    (func $pause
      (local $pollable i32)
      (local.set $pollable (call $subscribe (i64.const 500000000)))
      (call $block (local.get $pollable))
      (call $drop-pollable (local.get $pollable)))

    (func (export "run") (result i32)
      (local $out i32) (local $customer i32)
      (local.set $out (call $get-stdout))
      (loop $day
        (local.set $customer (i32.const 128))
        (loop $next
          (call $serve (local.get $out) (local.get $customer))
          (call $pause)
          (local.set $customer (i32.add (local.get $customer) (i32.const 16)))
          (br_if $next (i32.lt_u (local.get $customer) (i32.const 192))))
        (br $day))
      unreachable))
  (core instance $code (instantiate $front
    (with "heap" (instance $heap))
    (with "sys" (instance
      (export "get-stdout" (func $get-stdout))
      (export "write" (func $write))
      (export "subscribe" (func $subscribe))
      (export "block" (func $block))
      (export "drop-pollable" (func $drop-pollable))))
    (with "carts" (instance
      (export "open" (func $open))
      (export "add" (func $add))
      (export "pay" (func $pay))
      (export "drop" (func $drop-cart))))))

  (func $run (result (result)) (canon lift (core func $code "run")))
  (instance (export "wasi:cli/run@0.2.0") (export "run" (func $run))))
