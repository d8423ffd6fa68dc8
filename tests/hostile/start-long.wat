;; It refuses its configuration at length.
(func $start (param i32 i32) (result i32)
  (i32.store (i32.const 128) (i32.const 1))
  (i32.store (i32.const 132) (i32.const 8192))
  (i32.store (i32.const 136) (i32.const 180000))
  (memory.fill (i32.const 8192) (i32.const 46) (i32.const 180000))
  (i32.const 128))
