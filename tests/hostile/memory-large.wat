;; It has more memory from the start than it may have.
(memory $memory 257)
