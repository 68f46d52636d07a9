(component $reader-result
  (import "shop:kv/shelf@1.1.0" (instance 
    (type $i (record (field "price" u32) (field "left" u32))) (export "item" (type $item (eq $i)))
    (type $some (option $item))
    (export "find" (func (param "key" u32) (result $some))))))
