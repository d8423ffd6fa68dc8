;; It writes until it has to wait, and spins once it may go on.
(func $data_received (param $self i32) (param i32 i32) (result i32)
  (call $write (local.get $self) (i32.const 8192) (i32.const 150000))
  (i32.const 16))

(func $write_drained (param i32)
  (call $spin))
