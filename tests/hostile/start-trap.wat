;; It traps at its start.
(func $start (param i32 i32) (result i32)
  (unreachable))
