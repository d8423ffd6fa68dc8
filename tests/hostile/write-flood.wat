;; It writes without end, whether its peer reads or not.
(global $peer (mut i32) (i32.const 0))

(func $data_received (param $self i32) (param i32 i32) (result i32)
  (global.set $peer (local.get $self))
  (drop (call $timer (i64.const 0)))
  (i32.const 16))

(func $fired (param i64) (param $outcome i32) (result i32)
  (call $drop_outcome (local.get $outcome))
  (call $write (global.get $peer) (i32.const 8192) (i32.const 100000))
  (call $some (call $timer (i64.const 0))))
