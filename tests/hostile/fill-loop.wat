;; It fills all the memory that it can have, again and again, in instructions that nothing interrupts.
(func $data_received (param i32 i32 i32) (result i32)
  (drop (memory.grow (i32.const 250)))
  (loop $forever
    (memory.fill (i32.const 4096) (i32.const 1) (i32.const 16000000))
    (br $forever))
  (unreachable))
