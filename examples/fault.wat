;; A process that divides by zero, and the process that asked it to.
;;
;;   cargo run -- run --invoke 'ratio(7, 2)' examples/fault.wat     prints 3
;;   cargo run -- run --invoke 'ratio(1, 0)' examples/fault.wat     a fault: which process, what trap, whose frames
(component $fault
  (component $divider
    (core module $divide
      (func $divide (export "divide") (param $a i32) (param $b i32) (result i32)
        (i32.div_u (local.get $a) (local.get $b))))
    (core instance $code (instantiate $divide))
    (alias core export $code "divide" (core func $divide))
    (func (export "divide") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $divide))))

  (component $front
    (import "divide" (func $divide (param "a" u32) (param "b" u32) (result u32)))
    (core func $divide (canon lower (func $divide)))
    (core module $front
      (import "divider" "divide" (func $divide (param i32 i32) (result i32)))
      (func $ratio (export "ratio") (param $a i32) (param $b i32) (result i32)
        (call $divide (local.get $a) (local.get $b))))
    (core instance $code (instantiate $front
      (with "divider" (instance (export "divide" (func $divide))))))
    (alias core export $code "ratio" (core func $ratio))
    (func (export "ratio") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $ratio))))

  (instance $divider (instantiate $divider))
  (instance $front (instantiate $front (with "divide" (func $divider "divide"))))
  (export "ratio" (func $front "ratio")))
