;; It doesn't get over the end of what its peer sends.
(func (export "torsade:plugin/half-close@0.1.0#read-connection-lost") (param i32)
  (call $spin))
