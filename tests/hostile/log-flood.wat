;; A thousand lines in one event.
(func $data_received (param $self i32) (param $data i32) (param $length i32) (result i32)
  (local $left i32)
  (local.set $left (i32.const 1000))
  (loop $more
    (call $log (i32.const 2) (i32.const 128) (i32.const 11))
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (br_if $more (local.get $left)))
  (call $write (local.get $self) (local.get $data) (local.get $length))
  (call $lose (local.get $self))
  (i32.const 16))

(data (i32.const 128) "it is noisy")
