;; Its table is longer from the start than it may be.
(table 10000000 funcref)
