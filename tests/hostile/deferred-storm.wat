;; A million deferreds in one event.
(func $data_received (param i32 i32 i32) (result i32)
  (local $left i32)
  (local.set $left (i32.const 1000000))
  (loop $more
    (call $after (i64.const 3600000000000) (i32.const 64))
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (br_if $more (local.get $left)))
  (i32.const 16))
