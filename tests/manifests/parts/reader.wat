(component $reader
  (import "shop:kv/shelf@1.1.0" (instance 
    (type $i (record (field "price" u32) (field "left" u32))) (export "item" (type $item (eq $i)))
    (type $c (enum "red" "green" "blue")) (export "colour" (type $colour (eq $c)))
    (export "find" (func (param "key" u32) (result $item)))
    (export "paint" (func (param "with" $colour) (result u32)))
    (export "bucket" (type $bucket (sub resource)))
    (export "[constructor]bucket" (func (param "size" u32) (result (own $bucket))))
    (export "[method]bucket.size" (func (param "self" (borrow $bucket)) (result u32))))))
