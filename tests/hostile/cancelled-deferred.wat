;; It waits for what it has cancelled, a hundred times over.
(func $data_received (param $self i32) (param $data i32) (param $length i32) (result i32)
  (local $timer i32)
  (local $left i32)
  (local.set $timer (call $timer (i64.const 3600000000000)))
  (local.set $left (i32.const 100))
  (loop $more
    (call $cancel_own (local.get $timer))
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (br_if $more (local.get $left)))
  (call $write (local.get $self) (local.get $data) (local.get $length))
  (call $lose (local.get $self))
  (call $some (local.get $timer)))
