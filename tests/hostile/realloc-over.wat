;; It has the host write over what it returns.
(func $realloc (param i32 i32 i32 i32) (result i32)
  (i32.const 0))

(func $data_received (param $self i32) (param $data i32) (param $length i32) (result i32)
  (call $write (local.get $self) (local.get $data) (local.get $length))
  (i32.const 0))
