(component $reader-method
  (import "shop:kv/shelf@1.1.0" (instance 
    (export "bucket" (type $bucket (sub resource)))
    (export "[method]bucket.drain" (func (param "self" (borrow $bucket)) (result u32))))))
