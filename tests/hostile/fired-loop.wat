;; It waits for a moment, and then forever.
(func $data_received (param i32 i32 i32) (result i32)
  (call $some (call $timer (i64.const 0))))

(func $fired (param i64 i32) (result i32)
  (call $spin)
  (i32.const 16))
