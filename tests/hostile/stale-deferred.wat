;; It waits for a deferred that it has dropped.
(func $data_received (param i32 i32 i32) (result i32)
  (local $timer i32)
  (local.set $timer (call $timer (i64.const 0)))
  (call $drop_deferred (local.get $timer))
  (call $some (local.get $timer)))
