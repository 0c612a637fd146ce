"""How fast Sycee is, and how fast this machine would let it be: `python -m benchmarks`.

Not part of the package. Every row stands beside a limit that is measured in the same run, in turns with the work, so
that a busy machine slows both. One file per family: ledger.py, draw.py, identifiers.py; disk.py and memory.py measure
the limits, stages.py says where the time of a durable frame goes. docs/reference/performance.md explains the figures.
"""
