;; It moves one timer nine thousand times in each event, and has events without end.
(global $moved (mut i64) (i64.const 0))

(func $move
  (local $left i32)
  (local.set $left (i32.const 9000))
  (loop $more
    (call $reschedule (global.get $moved) (i64.const 3600000000000))
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (br_if $more (local.get $left))))

(func $data_received (param $self i32) (param $data i32) (param $length i32) (result i32)
  (global.set $moved (call $id (call $timer (i64.const 3600000000000))))
  (drop (call $timer (i64.const 0)))
  (call $write (local.get $self) (local.get $data) (local.get $length))
  (i32.const 16))

(func $fired (param i64) (param $outcome i32) (result i32)
  (call $drop_outcome (local.get $outcome))
  (call $move)
  (call $some (call $timer (i64.const 0))))
