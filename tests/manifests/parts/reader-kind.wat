(component $reader-kind
  (import "shop:kv/shelf@1.1.0" (instance 
    (export "colour" (func (result u32))))))
