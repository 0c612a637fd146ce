"""How fast Sycee is, and how fast this machine would let it be: `python -m benchmarks`.

Not part of the package. Every row runs in a process of its own, checks its work, and stands beside a limit that is
measured in the same run, in turns with the work, so that a busy machine slows both.

| file | holds |
|---|---|
| measure, runner, catalogue | what a benchmark is, how it becomes a row, which there are |
| town, programmes, books | what is done: records, and new ledgers to submit them to |
| ledger, drops, open_loop, signed, starts, identifiers, draw, compliance, routes | the rows, a family each |
| crowd | coroutines that come in an open loop, and the settings of a server's process |
| peers, sqlite, postgresql | the same transfers in databases |
| disk, memory | the limits |
| stages | where the time of a durable frame goes |
| tables, charts, report, machine | what is said of it, and docs/reference/performance.md |
"""
