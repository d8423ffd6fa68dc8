;; It pauses and resumes without end.
(func $data_received (param $self i32) (param i32 i32) (result i32)
  (loop $more
    (call $pause (local.get $self))
    (call $resume (local.get $self))
    (br $more))
  (unreachable))
