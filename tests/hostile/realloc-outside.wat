;; The room that it has for what the host hands over lies outside of its memory; not so for its
;; configuration.
(global $calls (mut i32) (i32.const 0))

(func $realloc (param i32 i32 i32 i32) (result i32)
  (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
  (select (i32.const 0xffff0000) (i32.const 8192) (i32.gt_u (global.get $calls) (i32.const 1))))
