"""The engine of the sandbox: every person of a city on every day, with and without a programme, in one pass.

`run.run` gives an `Outcome`: daily totals by zone, sector, size class and decile. docs/reference/sandbox-engine.md is
exact.
"""
