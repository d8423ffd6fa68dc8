;; It traps in a function whose name looks as a line of the log, and clears the screen.
(func $data_received (param i32 i32 i32) (result i32)
  (call $"x\1b[2J\n2026-01-01T00:00:00Z ERROR forged line")
  (i32.const 16))

(func $"x\1b[2J\n2026-01-01T00:00:00Z ERROR forged line"
  (unreachable))
