;; It returns a protocol that it has not made.
(func $build_protocol (param i32 i32 i64) (result i32)
  (call $some_protocol (i32.const 12345)))
