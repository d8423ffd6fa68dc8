;; A million timers of 0 ns: five thousand, each of which is followed by the next, without end.
(func $data_received (param $self i32) (param $data i32) (param $length i32) (result i32)
  (local $left i32)
  (local.set $left (i32.const 5000))
  (loop $more
    (call $after (i64.const 0) (i32.const 64))
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (br_if $more (local.get $left)))
  (call $write (local.get $self) (local.get $data) (local.get $length))
  (i32.const 16))

(func $fired (param i64) (param $outcome i32) (result i32)
  (call $drop_outcome (local.get $outcome))
  (call $some (call $timer (i64.const 0))))
