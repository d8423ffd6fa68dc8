;; As many deferreds as it gets; it tells its peer what the host says to the next.
(func $data_received (param $self i32) (param i32 i32) (result i32)
  (loop $more
    (call $after (i64.const 3600000000000) (i32.const 64))
    (br_if $more (i32.eqz (i32.load8_u (i32.const 64)))))
  (call $write (local.get $self) (i32.load (i32.const 76)) (i32.load (i32.const 80)))
  (call $lose (local.get $self))
  (i32.const 16))
