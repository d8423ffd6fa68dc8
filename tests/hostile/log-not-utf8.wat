;; It logs what is no UTF-8.
(func $data_received (param i32 i32 i32) (result i32)
  (call $log (i32.const 2) (i32.const 128) (i32.const 4))
  (i32.const 16))

(data (i32.const 128) "\ff\fe\c0\80")
