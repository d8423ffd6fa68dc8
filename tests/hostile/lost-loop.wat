;; It doesn't get over the end of its connection.
(func $connection_lost (param i32 i32 i32 i32 i32)
  (call $spin))
