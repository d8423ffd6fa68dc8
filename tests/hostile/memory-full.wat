;; It takes all the memory that there is, writes to it, and goes on.
(func $data_received (param $self i32) (param $data i32) (param $length i32) (result i32)
  (local $page i32)
  (loop $more
    (local.set $page (memory.grow (i32.const 1)))
    (if (i32.ne (local.get $page) (i32.const -1))
      (then
        (memory.fill (i32.shl (local.get $page) (i32.const 16)) (i32.const 1) (i32.const 65536))
        (br $more))))
  (call $write (local.get $self) (i32.const 128) (i32.const 4))
  (call $lose (local.get $self))
  (i32.const 16))

(data (i32.const 128) "full")
