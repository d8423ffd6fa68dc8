;; It goes on writing, and closing, once it has closed.
(func $data_received (param $self i32) (param $data i32) (param $length i32) (result i32)
  (call $write (local.get $self) (local.get $data) (local.get $length))
  (call $lose (local.get $self))
  (call $write (local.get $self) (i32.const 128) (i32.const 8))
  (call $resume (local.get $self))
  (call $lose (local.get $self))
  (call $write (local.get $self) (i32.const 128) (i32.const 8))
  (i32.const 16))

(func $connection_lost (param $self i32) (param i32 i32 i32 i32)
  (call $write (local.get $self) (i32.const 128) (i32.const 8))
  (call $resume (local.get $self))
  (call $lose (local.get $self))
  (call $abort (local.get $self)))

(data (i32.const 128) "too late")
