"""The engine of the sandbox: every person of a city on every day, with and without a programme, in one pass.

`run.run` returns a `RunOutcome`: daily totals by zone, sector, size class and decile. The exact rules are in
docs/reference/sandbox-engine.md.
"""
