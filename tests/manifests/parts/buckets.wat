;; A resource type of its own, under the name that importers have for it.
(component $buckets
  (type $bucket' (resource (rep i32)))
  (core func $new (canon resource.new $bucket'))
  (core module $code
    (import "bucket" "new" (func $new (param i32) (result i32)))
    (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
    (func (export "size") (param i32) (result i32) (local.get 0)))
  (core instance $code (instantiate $code (with "bucket" (instance (export "new" (func $new))))))
  (func $make (param "size" u32) (result (own $bucket')) (canon lift (core func $code "make")))
  (func $size (param "self" (borrow $bucket')) (result u32) (canon lift (core func $code "size")))
  (component $named
    (import "bucket" (type $b (sub resource)))
    (import "make" (func $make (param "size" u32) (result (own $b))))
    (import "size" (func $size (param "self" (borrow $b)) (result u32)))
    (export $bucket "bucket" (type $b))
    (export "make" (func $make) (func (param "size" u32) (result (own $bucket))))
    (export "[method]bucket.size" (func $size) (func (param "self" (borrow $bucket)) (result u32))))
  (instance $kv (instantiate $named
    (with "bucket" (type $bucket')) (with "make" (func $make)) (with "size" (func $size))))
  (export "shop:kv/buckets@0.1.0" (instance $kv)))
