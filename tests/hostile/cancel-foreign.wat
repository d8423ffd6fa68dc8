;; It cancels and moves deferreds of others, whose numbers it guesses.
(func $data_received (param $self i32) (param $data i32) (param $length i32) (result i32)
  (local $id i64)
  (loop $more
    (call $cancel (local.get $id))
    (call $reschedule (local.get $id) (i64.const 3600000000000))
    (local.set $id (i64.add (local.get $id) (i64.const 1)))
    (br_if $more (i64.lt_u (local.get $id) (i64.const 4900))))
  (call $write (local.get $self) (local.get $data) (local.get $length))
  (call $lose (local.get $self))
  (i32.const 16))
