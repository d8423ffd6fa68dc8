;; It writes to a transport that it was never given.
(func $data_received (param i32) (param $data i32) (param $length i32) (result i32)
  (call $write (i32.const 12345) (local.get $data) (local.get $length))
  (i32.const 16))
