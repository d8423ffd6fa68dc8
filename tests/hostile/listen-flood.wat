;; A thousand listeners, all of which it keeps; then it tells its peer of one that it didn't get.
(global $peer (mut i32) (i32.const 0))

(func $data_received (param $self i32) (param i32 i32) (result i32)
  (local $left i32)
  (global.set $peer (local.get $self))
  (local.set $left (i32.const 1000))
  (loop $more
    (call $listen (i32.const 128) (i32.const 25) (i32.const 64))
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (br_if $more (local.get $left)))
  (i32.const 16))

(func $fired (param i64) (param $outcome i32) (result i32)
  (call $listening (local.get $outcome) (i32.const 64))
  (if (i32.load8_u (i32.const 64))
    (then
      (call $write (global.get $peer) (i32.load (i32.const 76)) (i32.load (i32.const 80)))
      (call $lose (global.get $peer))))
  (i32.const 16))

(data (i32.const 128) "tcp:0:interface=127.0.0.1")
