(component $reader-param
  (import "shop:kv/shelf@1.1.0" (instance 
    (type $i (record (field "price" u32) (field "left" u32))) (export "item" (type $item (eq $i)))
    (export "find" (func (param "id" u32) (result $item))))))
