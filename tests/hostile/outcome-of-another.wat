;; It takes a timer's result for that of a query, and tells its peer what that comes to.
(global $peer (mut i32) (i32.const 0))

(func $data_received (param $self i32) (param i32 i32) (result i32)
  (global.set $peer (local.get $self))
  (drop (call $timer (i64.const 0)))
  (i32.const 16))

(func $fired (param i64) (param $outcome i32) (result i32)
  (call $queried (local.get $outcome) (i32.const 64))
  (call $write (global.get $peer) (i32.load (i32.const 76)) (i32.load (i32.const 80)))
  (call $lose (global.get $peer))
  (i32.const 16))
