(component $reader-resource
  (import "shop:kv/shelf@1.1.0" (instance 
    (export "basket" (type $basket (sub resource)))
    (export "[method]basket.size" (func (param "self" (borrow $basket)) (result u32))))))
