;; Makes buckets of another process, and asks that process for their size.
(component $measure
  (import "shop:kv/buckets@0.1.0" (instance $kv
    (export "bucket" (type $b (sub resource)))
    (export "make" (func (param "size" u32) (result (own $b))))
    (export "[method]bucket.size" (func (param "self" (borrow $b)) (result u32)))))
  (core func $make (canon lower (func $kv "make")))
  (core func $size (canon lower (func $kv "[method]bucket.size")))
  (core module $code
    (import "kv" "make" (func $make (param i32) (result i32)))
    (import "kv" "size" (func $size (param i32) (result i32)))
    (func (export "measure") (param i32) (result i32) (call $size (call $make (local.get 0)))))
  (core instance $code (instantiate $code
    (with "kv" (instance (export "make" (func $make)) (export "size" (func $size))))))
  (func (export "measure") (param "n" u32) (result u32) (canon lift (core func $code "measure"))))
