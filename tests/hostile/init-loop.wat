;; The component's own start function never ends.
(start $spin)
