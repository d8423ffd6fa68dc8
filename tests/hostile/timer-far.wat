;; Timers that fire when the clock has no numbers left.
(func $data_received (param $self i32) (param $data i32) (param $length i32) (result i32)
  (local $left i32)
  (local.set $left (i32.const 100))
  (loop $more
    (call $reschedule (call $id (call $timer (i64.const -1))) (i64.const -1))
    (call $after (i64.const 0x7fffffffffffffff) (i32.const 64))
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (br_if $more (local.get $left)))
  (call $write (local.get $self) (local.get $data) (local.get $length))
  (call $lose (local.get $self))
  (i32.const 16))
