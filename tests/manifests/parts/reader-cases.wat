(component $reader-cases
  (import "shop:kv/shelf@1.1.0" (instance 
    (type $c (enum "green" "red" "blue")) (export "colour" (type $colour (eq $c)))
    (export "paint" (func (param "with" $colour) (result u32))))))
