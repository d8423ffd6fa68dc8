;; What it returns lies where it can't lie.
(func $data_received (param i32 i32 i32) (result i32)
  (i32.const 17))
