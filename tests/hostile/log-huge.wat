;; A line that is longer than all that an event may leave.
(func $data_received (param i32 i32 i32) (result i32)
  (drop (memory.grow (i32.const 100)))
  (call $log (i32.const 2) (i32.const 128) (i32.const 5000000))
  (i32.const 16))
