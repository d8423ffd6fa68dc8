;; An event that never ends.
(func $data_received (param i32 i32 i32) (result i32)
  (call $spin)
  (i32.const 16))
