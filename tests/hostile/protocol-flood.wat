;; It makes protocols that no connection has.
(func $data_received (param $self i32) (param i32 i32) (result i32)
  (loop $more
    (drop (call $new_protocol (local.get $self)))
    (br $more))
  (unreachable))
