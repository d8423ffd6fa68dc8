;; It traps at every second event, and closes at the others.
(global $events (mut i32) (i32.const 0))

(func $data_received (param $self i32) (param $data i32) (param $length i32) (result i32)
  (global.set $events (i32.add (global.get $events) (i32.const 1)))
  (if (i32.eq (global.get $events) (i32.const 2)) (then (unreachable)))
  (call $write (local.get $self) (local.get $data) (local.get $length))
  (drop (call $timer (i64.const 0)))
  (i32.const 16))

(func $fired (param i64 i32) (result i32)
  (call $data_received (i32.const 0) (i32.const 0) (i32.const 0)))
