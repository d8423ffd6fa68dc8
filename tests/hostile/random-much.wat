;; More randomness than may be asked for at once.
(func $data_received (param i32 i32 i32) (result i32)
  (call $random (i32.const 0x7fffffff) (i32.const 64))
  (i32.const 16))
