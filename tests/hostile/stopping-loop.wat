;; It doesn't stop when the host does.
(func (export "torsade:plugin/stopping@0.1.0#stopping")
  (call $spin))
