;; It refuses every connection, once it has written to it.
(func $build_protocol (param $transport i32) (param i32 i64) (result i32)
  (call $write (local.get $transport) (i32.const 128) (i32.const 2))
  (i32.const 16))

(data (i32.const 128) "no")
