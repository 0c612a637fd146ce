"""Choose which queued payments settle together: arrays in, a set out. No ledger, no SQL, no messages.

`queue.Queue` is the problem; `pair_limits` adds limits to it. `release` and `fifo` are the rules without optimisation;
`bilateral` offsets the payments of one pair. `relaxation` is the linear programme and its bound. `rounding`, `levels`,
`repair`, `local_search` and `exact` turn its solution into whole payments; `optimise` runs all of them.
"""
