;; It logs lines of 100 KB without end.
(func $data_received (param i32 i32 i32) (result i32)
  (memory.fill (i32.const 8192) (i32.const 46) (i32.const 100000))
  (loop $more
    (call $log (i32.const 2) (i32.const 8192) (i32.const 100000))
    (br $more))
  (unreachable))
