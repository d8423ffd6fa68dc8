;; It returns the transport for the protocol.
(func $build_protocol (param $transport i32) (param i32 i64) (result i32)
  (call $some_protocol (local.get $transport)))
