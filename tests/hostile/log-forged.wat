;; A line that looks as two, of which the second is another's, and that clears the screen.
(func $data_received (param $self i32) (param $data i32) (param $length i32) (result i32)
  (call $log (i32.const 2) (i32.const 128) (i32.const 46))
  (call $write (local.get $self) (local.get $data) (local.get $length))
  (call $lose (local.get $self))
  (i32.const 16))

(data (i32.const 128) "one\1b[2J\n2026-01-01T00:00:00Z ERROR forged line")
