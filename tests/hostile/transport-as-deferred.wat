;; It waits for its transport.
(func $data_received (param $self i32) (param i32 i32) (result i32)
  (call $some (local.get $self)))
