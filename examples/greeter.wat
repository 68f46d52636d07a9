;; A tree of three processes: the root wires two components together, and nothing else.
;;
;;   /            imports stdout from the system, gives it to front; exports front's `run`
;;   ├─ book      keeps a guest book: `greet` answers with a string, `page` is a resource
;;   └─ front     the command: asks the book, prints what it says
;;
;; Both load the same library, `heap`: a memory and an allocator. Its code exists once, its memory twice.
;;
;;   cargo run -- run --tree examples/greeter.wat
(component $greeter
  ;; What the system serves, as far as it is used here (wasi:cli 0.2).
  (import "wasi:io/error@0.2.0" (instance $io-error
    (export "error" (type (sub resource)))))
  (alias export $io-error "error" (type $error))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer $greeter $error (type $outer-error))
    (export "error" (type $error (eq $outer-error)))
    (export "output-stream" (type $output-stream (sub resource)))
    (type $stream-error' (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $stream-error')))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $output-stream)) (param "contents" (list u8))
        (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $output-stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer $greeter $output-stream (type $outer-stream))
    (export "output-stream" (type $output-stream (eq $outer-stream)))
    (export "get-stdout" (func (result (own $output-stream))))))

  ;; A library: linear memory and an allocator that only ever moves forward.
  (core module $heap
    (memory (export "memory") 1)
    (global $top (mut i32) (i32.const 1024))
    (func (export "realloc") (param $old i32) (param $old-bytes i32) (param $align i32) (param $bytes i32) (result i32)
      (local $at i32)
      ;; at = top rounded up to align
      (local.set $at
        (i32.and
          (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
          (i32.sub (i32.const 0) (local.get $align))))
      (global.set $top (i32.add (local.get $at) (local.get $bytes)))
      (if (i32.gt_u (global.get $top) (i32.const 65536)) (then unreachable))
      (memory.copy (local.get $at) (local.get $old) (local.get $old-bytes))
      (local.get $at)))

  (component $book
    (alias outer $greeter $heap (core module $heap-library))
    (core instance $heap (instantiate $heap-library))
    (alias core export $heap "memory" (core memory $memory))
    (alias core export $heap "realloc" (core func $realloc))
    (type $page' (resource (rep i32)))
    (core func $new-page (canon resource.new $page'))
    (core module $book-code
      (import "heap" "memory" (memory 1))
      (import "heap" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
      (import "page" "new" (func $new (param i32) (result i32)))
      (data (i32.const 16) "Welcome, ")
      ;; A string result is returned as the address of a pointer and a length; ours is always at 0.
      (func (export "greet") (param $name i32) (param $bytes i32) (result i32)
        (local $text i32)
        (local.set $text
          (call $realloc (i32.const 0) (i32.const 0) (i32.const 1) (i32.add (local.get $bytes) (i32.const 9))))
        (memory.copy (local.get $text) (i32.const 16) (i32.const 9))
        (memory.copy (i32.add (local.get $text) (i32.const 9)) (local.get $name) (local.get $bytes))
        (i32.store (i32.const 0) (local.get $text))
        (i32.store (i32.const 4) (i32.add (local.get $bytes) (i32.const 9)))
        (i32.const 0))
      ;; A page is represented by the address of its number of signatures.
      (func (export "open") (result i32)
        (call $new (call $realloc (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 4))))
      (func (export "sign") (param $page i32) (param $name i32) (param $bytes i32) (result i32)
        (i32.store (local.get $page) (i32.add (i32.load (local.get $page)) (i32.const 1)))
        (i32.load (local.get $page))))
    (core instance $code (instantiate $book-code
      (with "heap" (instance $heap))
      (with "page" (instance (export "new" (func $new-page))))))
    (alias core export $code "greet" (core func $greet))
    (alias core export $code "open" (core func $open))
    (alias core export $code "sign" (core func $sign))
    (export $page "page" (type $page'))
    (func (export "greet") (param "name" string) (result string)
      (canon lift (core func $greet) (memory $memory) (realloc $realloc)))
    (func (export "[constructor]page") (result (own $page))
      (canon lift (core func $open)))
    (func (export "[method]page.sign") (param "self" (borrow $page)) (param "name" string) (result u32)
      (canon lift (core func $sign) (memory $memory) (realloc $realloc))))

  (component $front
    (import "output-stream" (type $output-stream (sub resource)))
    (import "error" (type $error (sub resource)))
    (type $stream-error' (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (import "stream-error" (type $stream-error (eq $stream-error')))
    (import "write" (func $write (param "self" (borrow $output-stream)) (param "contents" (list u8))
      (result (result (error $stream-error)))))
    (import "get-stdout" (func $get-stdout (result (own $output-stream))))
    (import "demo:greeter/book" (instance $book
      (export "page" (type $page (sub resource)))
      (export "greet" (func (param "name" string) (result string)))
      (export "[constructor]page" (func (result (own $page))))
      (export "[method]page.sign" (func (param "self" (borrow $page)) (param "name" string) (result u32)))))
    (alias export $book "page" (type $page))

    (alias outer $greeter $heap (core module $heap-library))
    (core instance $heap (instantiate $heap-library))
    (alias core export $heap "memory" (core memory $memory))
    (alias core export $heap "realloc" (core func $realloc))
    (core func $write' (canon lower (func $write) (memory $memory)))
    (core func $get-stdout' (canon lower (func $get-stdout)))
    (core func $drop-stream (canon resource.drop $output-stream))
    (core func $drop-page (canon resource.drop $page))
    (core func $greet
      (canon lower (func $book "greet") (memory $memory) (realloc $realloc)))
    (core func $open (canon lower (func $book "[constructor]page")))
    (core func $sign (canon lower (func $book "[method]page.sign") (memory $memory)))
    (core module $front-code
      (import "heap" "memory" (memory 1))
      (import "sys" "get-stdout" (func $get-stdout (result i32)))
      (import "sys" "write" (func $write (param i32 i32 i32 i32)))
      (import "sys" "drop-stream" (func $drop-stream (param i32)))
      (import "book" "greet" (func $greet (param i32 i32 i32)))
      (import "book" "open" (func $open (result i32)))
      (import "book" "sign" (func $sign (param i32 i32 i32) (result i32)))
      (import "book" "drop-page" (func $drop-page (param i32)))
      (data (i32.const 64) "AdaBj\c3\b6rn")
      (data (i32.const 80) ", you are guest number  \n")
      ;; Greets the name at this address as the next guest of the page.
      (func $welcome (param $out i32) (param $page i32) (param $name i32) (param $bytes i32)
        (call $greet (local.get $name) (local.get $bytes) (i32.const 32))
        (call $write (local.get $out) (i32.load (i32.const 32)) (i32.load (i32.const 36)) (i32.const 40))
        ;; the number as a digit, before the newline
        (i32.store8 (i32.const 103)
          (i32.add (i32.const 48) (call $sign (local.get $page) (local.get $name) (local.get $bytes))))
        (call $write (local.get $out) (i32.const 80) (i32.const 25) (i32.const 40)))
      (func (export "run") (result i32)
        (local $out i32) (local $page i32)
        (local.set $out (call $get-stdout))
        (local.set $page (call $open))
        (call $welcome (local.get $out) (local.get $page) (i32.const 64) (i32.const 3))
        (call $welcome (local.get $out) (local.get $page) (i32.const 67) (i32.const 6))
        (call $drop-page (local.get $page))
        (call $drop-stream (local.get $out))
        (i32.const 0)))
    (core instance $code (instantiate $front-code
      (with "heap" (instance $heap))
      (with "sys" (instance
        (export "get-stdout" (func $get-stdout'))
        (export "write" (func $write'))
        (export "drop-stream" (func $drop-stream))))
      (with "book" (instance
        (export "greet" (func $greet))
        (export "open" (func $open))
        (export "sign" (func $sign))
        (export "drop-page" (func $drop-page))))))
    (alias core export $code "run" (core func $run))
    (func $run (result (result)) (canon lift (core func $run)))
    (instance (export "wasi:cli/run@0.2.0") (export "run" (func $run))))

  (instance $book (instantiate $book))
  (instance $front (instantiate $front
    (with "output-stream" (type $output-stream))
    (with "error" (type $error))
    (with "stream-error" (type $streams "stream-error"))
    (with "write" (func $streams "[method]output-stream.blocking-write-and-flush"))
    (with "get-stdout" (func $stdout "get-stdout"))
    (with "demo:greeter/book" (instance $book))))
  (export "wasi:cli/run@0.2.0" (instance $front "wasi:cli/run@0.2.0")))
