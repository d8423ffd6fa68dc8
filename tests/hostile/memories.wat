;; More memories than it may have.
(memory 1) (memory 1) (memory 1) (memory 1)
