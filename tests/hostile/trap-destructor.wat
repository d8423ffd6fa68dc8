;; It traps when its protocol is dropped.
(func $destructor (param i32)
  (unreachable))
