;; It takes the result of a deferred that has none yet.
(func $data_received (param i32 i32 i32) (result i32)
  (call $elapsed (call $timer (i64.const 0)) (i32.const 64))
  (i32.const 16))
