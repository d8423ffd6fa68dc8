;; Its protocol can't be dropped.
(func $destructor (param i32)
  (call $spin))
