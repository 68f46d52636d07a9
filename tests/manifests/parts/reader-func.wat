(component $reader-func
  (import "shop:kv/shelf@1.1.0" (instance 
    (export "paints" (func (param "with" u32) (result u32))))))
