;; Five thousand connections to a port where nobody listens, again and again; it tells its peer
;; of one that it didn't get.
(global $peer (mut i32) (i32.const 0))

(func $dial
  (local $left i32)
  (local.set $left (i32.const 5000))
  (loop $more
    (call $connect (i32.const 128) (i32.const 15) (i32.const 64))
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (br_if $more (local.get $left))))

(func $data_received (param $self i32) (param i32 i32) (result i32)
  (global.set $peer (local.get $self))
  (call $dial)
  (i32.const 16))

(func $fired (param i64) (param $outcome i32) (result i32)
  (call $connected (local.get $outcome) (i32.const 64))
  (if (i32.eq (i32.load8_u (i32.load (i32.const 76))) (i32.const 108))
    (then
      (call $write (global.get $peer) (i32.load (i32.const 76)) (i32.load (i32.const 80)))
      (call $lose (global.get $peer))))
  (i32.const 16))

(data (i32.const 128) "tcp:127.0.0.1:1")
