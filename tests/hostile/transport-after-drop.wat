;; It writes by a handle that it has dropped.
(func $data_received (param $self i32) (param $data i32) (param $length i32) (result i32)
  (call $drop_transport (local.get $self))
  (call $write (local.get $self) (local.get $data) (local.get $length))
  (i32.const 16))
