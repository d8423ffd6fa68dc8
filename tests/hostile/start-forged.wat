;; It refuses its configuration in words that look as another's, and clear the screen.
(func $start (param i32 i32) (result i32)
  (i32.store (i32.const 128) (i32.const 1))
  (i32.store (i32.const 132) (i32.const 144))
  (i32.store (i32.const 136) (i32.const 27))
  (i32.const 128))

(data (i32.const 144) "x\1b[2J\1b[H\nall is well, root\n")
