;; It takes a page after the other, writes to each, and can't go on without more.
(func $data_received (param i32 i32 i32) (result i32)
  (local $page i32)
  (loop $more
    (local.set $page (memory.grow (i32.const 1)))
    (if (i32.eq (local.get $page) (i32.const -1)) (then (unreachable)))
    (i32.store (i32.shl (local.get $page) (i32.const 16)) (i32.const 1))
    (br $more))
  (unreachable))
