(component $reader-fields
  (import "shop:kv/shelf@1.1.0" (instance 
    (type $i (record (field "price" u32))) (export "item" (type $item (eq $i)))
    (export "find" (func (param "key" u32) (result $item))))))
