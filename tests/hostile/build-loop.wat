;; A connection whose protocol is never made.
(func $build_protocol (param i32 i32 i64) (result i32)
  (call $spin)
  (i32.const 16))
