;; It takes a result twice.
(func $data_received (param i32 i32 i32) (result i32)
  (drop (call $timer (i64.const 0)))
  (i32.const 16))

(func $fired (param i64) (param $outcome i32) (result i32)
  (call $elapsed (local.get $outcome) (i32.const 64))
  (call $elapsed (local.get $outcome) (i32.const 64))
  (i32.const 16))
