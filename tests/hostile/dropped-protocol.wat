;; It returns a protocol that it has dropped.
(func $build_protocol (param $transport i32) (param i32 i64) (result i32)
  (local $protocol i32)
  (local.set $protocol (call $new_protocol (local.get $transport)))
  (call $drop_protocol (local.get $protocol))
  (call $some_protocol (local.get $protocol)))
