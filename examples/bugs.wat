;; A component with six bugs, for `atoll fuzz` to find: see docs/fuzzing-a-component.md.
;;
;;   cargo run -- fuzz examples/bugs.wat
;;   cargo run -- run --invoke 'rank([1, 2, 3, 4, 5, 6, 7, 8, 9])' examples/bugs.wat
(component $bugs
  (core module $bugs
    ;; 0    board: eight scores of four bytes
    ;; 32   what must never change, right behind the board
    ;; 64   "open sesame"
    ;; 1024 … heap: arguments lie there while a call runs
    (memory (export "memory") 1)
    (data (i32.const 32) "\ef\be\ad\de")
    (data (i32.const 64) "open sesame")
    (global $floor (mut i32) (i32.const 1024))
    (global $heap (mut i32) (i32.const 1024))

    ;; Takes bytes from the heap, and grows the memory when it has to.
    (func $realloc (export "realloc") (param $old i32) (param $had i32) (param $align i32) (param $bytes i32)
      (result i32)
      (local $at i32)
      (local.set $at
        (i32.and
          (i32.add (global.get $heap) (i32.sub (local.get $align) (i32.const 1)))
          (i32.sub (i32.const 0) (local.get $align))))
      (global.set $heap (i32.add (local.get $at) (local.get $bytes)))
      (block $fits
        (br_if $fits (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
        (br_if $fits
          (i32.ne (i32.const -1)
            (memory.grow (i32.add (i32.shr_u (local.get $bytes) (i32.const 16)) (i32.const 1)))))
        (unreachable))
      (local.get $at))

    ;; After a call its arguments are gone.
    (func $done (export "done") (param i32)
      (global.set $heap (global.get $floor)))

    ;; Bug 1: the board holds eight scores, and nine are let in.
    (func $rank (export "rank") (param $scores i32) (param $count i32) (result i32)
      (local $i i32)
      (if (i32.gt_u (local.get $count) (i32.const 9))
        (then (return (i32.const 0))))
      (loop $next
        (if (i32.lt_u (local.get $i) (local.get $count))
          (then
            (i32.store
              (i32.shl (local.get $i) (i32.const 2))
              (i32.load (i32.add (local.get $scores) (i32.shl (local.get $i) (i32.const 2)))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br $next))))
      (if (i32.ne (i32.load (i32.const 32)) (i32.const 0xdeadbeef))
        (then (unreachable)))
      (local.get $count))

    ;; Bug 2: one word in the world makes it panic.
    (func $knock (export "knock") (param $word i32) (param $bytes i32) (result i32)
      (if (call $same (local.get $word) (local.get $bytes) (i32.const 64) (i32.const 11))
        (then (call $panic)))
      (i32.eqz (local.get $bytes)))

    (func $same (param $left i32) (param $left_bytes i32) (param $right i32) (param $right_bytes i32)
      (result i32)
      (local $i i32)
      (if (i32.ne (local.get $left_bytes) (local.get $right_bytes))
        (then (return (i32.const 0))))
      (loop $next
        (if (i32.eq (local.get $i) (local.get $left_bytes))
          (then (return (i32.const 1))))
        (if
          (i32.ne
            (i32.load8_u (i32.add (local.get $left) (local.get $i)))
            (i32.load8_u (i32.add (local.get $right) (local.get $i))))
          (then (return (i32.const 0))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next))
      (unreachable))

    (func $panic
      (unreachable))

    ;; Bug 3: what is noted is kept for ever, and nobody can ask for it.
    (func $note (export "note") (param $text i32) (param $bytes i32) (result i32)
      (global.set $floor (global.get $heap))
      (local.get $bytes))

    ;; Bug 4: for one number it never comes back.
    (func $settle (export "settle") (param $start i32) (result i32)
      (loop $again
        (br_if $again (i32.eq (local.get $start) (i32.const 0x5ca1ab1e))))
      (i32.add (local.get $start) (i32.const 1)))

    ;; Bug 5: a job that is finished must not be finished again.
    (func $new (export "new") (result i32)
      (local $job i32)
      (local.set $job (call $realloc (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 4)))
      (i32.store (local.get $job) (i32.const 0))
      (local.get $job))
    (func $finish (export "finish") (param $job i32)
      (if (i32.load (local.get $job))
        (then (unreachable)))
      (i32.store (local.get $job) (i32.const 1)))
    (func (export "drop") (param $job i32)
      (global.set $heap (global.get $floor)))

    ;; Bug 6: eight bytes of each visit are kept for ever: a page of memory takes thousands of them.
    (func $visit (export "visit") (result i32)
      (local $visit i32)
      (local.set $visit (call $realloc (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 8)))
      (i32.store (local.get $visit) (i32.const 1))
      (global.set $floor (global.get $heap))
      (i32.const 1)))

  (core instance $code (instantiate $bugs))
  (alias core export $code "memory" (core memory $memory))
  (alias core export $code "realloc" (core func $realloc))
  (alias core export $code "done" (core func $done))
  (alias core export $code "drop" (core func $drop))
  (alias core export $code "rank" (core func $rank))
  (alias core export $code "knock" (core func $knock))
  (alias core export $code "note" (core func $note))
  (alias core export $code "settle" (core func $settle))
  (alias core export $code "visit" (core func $visit))
  (alias core export $code "new" (core func $new))
  (alias core export $code "finish" (core func $finish))

  (type $own-job (resource (rep i32) (dtor (core func $drop))))
  (export $job "job" (type $own-job))
  (core func $handle (canon resource.new $own-job))
  (core module $maker
    (import "code" "new" (func $new (result i32)))
    (import "code" "handle" (func $handle (param i32) (result i32)))
    (func (export "make") (result i32)
      (call $handle (call $new))))
  (core instance $make (instantiate $maker
    (with "code" (instance (export "new" (func $new)) (export "handle" (func $handle))))))
  (alias core export $make "make" (core func $make))

  (func (export "rank") (param "scores" (list u32)) (result u32)
    (canon lift (core func $rank) (memory $memory) (realloc (func $realloc)) (post-return (func $done))))
  (func (export "knock") (param "word" string) (result bool)
    (canon lift (core func $knock) (memory $memory) (realloc (func $realloc)) (post-return (func $done))))
  (func (export "note") (param "text" string) (result u32)
    (canon lift (core func $note) (memory $memory) (realloc (func $realloc)) (post-return (func $done))))
  (func (export "settle") (param "start" u32) (result u32)
    (canon lift (core func $settle)))
  (func (export "visit") (result u32)
    (canon lift (core func $visit)))
  (func (export "[constructor]job") (result (own $job))
    (canon lift (core func $make)))
  (func (export "[method]job.finish") (param "self" (borrow $job))
    (canon lift (core func $finish))))
