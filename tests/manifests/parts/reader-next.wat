(component $reader-next
  (import "shop:kv/shelf@2.0.0" (instance 
    (type $i (record (field "price" u32) (field "left" u32))) (export "item" (type $item (eq $i)))
    (export "find" (func (param "key" u32) (result $item))))))
