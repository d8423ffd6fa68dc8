;; It waits for an hour, whatever comes.
(func $data_received (param $self i32) (param $data i32) (param $length i32) (result i32)
  (call $write (local.get $self) (local.get $data) (local.get $length))
  (call $some (call $timer (i64.const 3600000000000))))
