"""Choose which queued payments settle together: arrays in, a set out. No ledger, no SQL, no messages.

`queue.Queue` is the problem, `release` and `fifo` the rules without optimisation, `relaxation` the linear programme and
its bound, `rounding`, `local_search` and `exact` the ways from it to whole payments, `optimise` the one that uses them.
"""
