;; It refuses its configuration in words that are no UTF-8.
(func $start (param i32 i32) (result i32)
  (i32.store (i32.const 128) (i32.const 1))
  (i32.store (i32.const 132) (i32.const 144))
  (i32.store (i32.const 136) (i32.const 4))
  (i32.const 128))

(data (i32.const 144) "\ff\fe\c0\80")
