;; Each timer of 0 ns is followed by two, whose handles it keeps, as far as the host lets it.
(func $data_received (param $self i32) (param $data i32) (param $length i32) (result i32)
  (drop (call $timer (i64.const 0)))
  (call $write (local.get $self) (local.get $data) (local.get $length))
  (i32.const 16))

(func $fired (param i64) (param $outcome i32) (result i32)
  (call $drop_outcome (local.get $outcome))
  (call $after (i64.const 0) (i32.const 64))
  (call $after (i64.const 0) (i32.const 64))
  (i32.const 16))
