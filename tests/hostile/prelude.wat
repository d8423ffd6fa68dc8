;; What hostile plugins have in common. A paragraph that defines a name goes into a plugin only
;; where the name is used, and where the plugin has no function of its own by that name.
;;
;; The memory: at 16 a `none`, or an `ok`; at 32 what `build-protocol` returns; at 48 what `some`
;; makes; at 64 what imports return; from 128 on the plugin's own; at 8192 what the host hands over.
;; A protocol is represented by the handle of its transport.

(import "torsade:plugin/transports@0.1.0" "[method]transport.write" (func $write (param i32 i32 i32)))

(import "torsade:plugin/transports@0.1.0" "[method]transport.lose-connection" (func $lose (param i32)))

(import "torsade:plugin/transports@0.1.0" "[method]transport.abort-connection" (func $abort (param i32)))

(import "torsade:plugin/transports@0.1.0" "[method]transport.pause-producing" (func $pause (param i32)))

(import "torsade:plugin/transports@0.1.0" "[method]transport.resume-producing" (func $resume (param i32)))

(import "torsade:plugin/transports@0.1.0" "[resource-drop]transport" (func $drop_transport (param i32)))

(import "torsade:plugin/deferreds@0.1.0" "[resource-drop]deferred" (func $drop_deferred (param i32)))

(import "torsade:plugin/deferreds@0.1.0" "[method]deferred.id" (func $id (param i32) (result i64)))

(import "torsade:plugin/deferreds@0.1.0" "[method]deferred.cancel" (func $cancel_own (param i32)))

(import "torsade:plugin/deferreds@0.1.0" "cancel" (func $cancel (param i64)))

(import "torsade:plugin/deferreds@0.1.0" "[resource-drop]outcome" (func $drop_outcome (param i32)))

(import "torsade:plugin/timers@0.1.0" "after" (func $after (param i64 i32)))

(import "torsade:plugin/timers@0.1.0" "reschedule" (func $reschedule (param i64 i64)))

(import "torsade:plugin/timers@0.1.0" "elapsed" (func $elapsed (param i32 i32)))

(import "torsade:plugin/clock@0.1.0" "monotonic" (func $monotonic (result i64)))

(import "torsade:plugin/random@0.1.0" "bytes" (func $random (param i32 i32)))

(import "torsade:plugin/log@0.1.0" "write" (func $log (param i32 i32 i32)))

(import "torsade:plugin/server-endpoints@0.1.0" "listen" (func $listen (param i32 i32 i32)))

(import "torsade:plugin/server-endpoints@0.1.0" "listening" (func $listening (param i32 i32)))

(import "torsade:plugin/client-endpoints@0.1.0" "connect" (func $connect (param i32 i32 i32)))

(import "torsade:plugin/client-endpoints@0.1.0" "connected" (func $connected (param i32 i32)))

(import "torsade:plugin/resolver@0.1.0" "lookup" (func $lookup (param i32 i32 i32 i32)))

(import "torsade:plugin/sql@0.1.0" "queried" (func $queried (param i32 i32)))

(import "[export]torsade:plugin/protocols@0.1.0" "[resource-new]protocol" (func $new_protocol (param i32) (result i32)))

(import "[export]torsade:plugin/protocols@0.1.0" "[resource-drop]protocol" (func $drop_protocol (param i32)))

(memory $memory 3)

(export "memory" (memory $memory))

(export "cabi_realloc" (func $realloc))

(export "torsade:plugin/plugin@0.1.0#start" (func $start))

(export "torsade:plugin/plugin@0.1.0#fired" (func $fired))

(export "torsade:plugin/protocols@0.1.0#build-protocol" (func $build_protocol))

(export "torsade:plugin/protocols@0.1.0#[method]protocol.data-received" (func $data_received))

(export "torsade:plugin/protocols@0.1.0#[method]protocol.write-drained" (func $write_drained))

(export "torsade:plugin/protocols@0.1.0#[method]protocol.connection-lost" (func $connection_lost))

(export "torsade:plugin/protocols@0.1.0#[dtor]protocol" (func $destructor))

;; Always the same room.
(func $realloc (param $old i32) (param i32 i32 i32) (result i32)
  (i32.const 8192))

(func $start (param $config i32) (param $length i32) (result i32)
  (i32.const 16))

(func $fired (param $id i64) (param $outcome i32) (result i32)
  (call $drop_outcome (local.get $outcome))
  (i32.const 16))

(func $build_protocol (param $transport i32) (param i32 i64) (result i32)
  (call $some_protocol (call $new_protocol (local.get $transport))))

;; Sends back what it gets.
(func $data_received (param $self i32) (param $data i32) (param $length i32) (result i32)
  (call $write (local.get $self) (local.get $data) (local.get $length))
  (i32.const 16))

(func $write_drained (param $self i32))

(func $connection_lost (param $self i32) (param i32 i32 i32 i32))

(func $destructor (param $self i32)
  (call $drop_transport (local.get $self)))

(func $some (param $handle i32) (result i32)
  (i32.store (i32.const 48) (i32.const 1))
  (i32.store (i32.const 52) (local.get $handle))
  (i32.const 48))

(func $some_protocol (param $handle i32) (result i32)
  (i32.store (i32.const 32) (i32.const 1))
  (i32.store (i32.const 36) (local.get $handle))
  (i32.const 32))

;; A timer, which must be had.
(func $timer (param $nanoseconds i64) (result i32)
  (call $after (local.get $nanoseconds) (i32.const 64))
  (if (i32.load8_u (i32.const 64)) (then (unreachable)))
  (i32.load (i32.const 68)))

(func $spin
  (loop $forever (br $forever)))
