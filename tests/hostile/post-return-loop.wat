;; It spins behind its answer, when the host lets it clean up.
(func (export "cabi_post_torsade:plugin/protocols@0.1.0#[method]protocol.data-received") (param i32)
  (call $spin))
