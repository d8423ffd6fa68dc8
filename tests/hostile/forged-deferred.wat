;; It waits for a deferred that there is not.
(func $data_received (param i32 i32 i32) (result i32)
  (call $some (i32.const 12345)))
