"""Benchmarks of Sycee and of the machine's limits: `python -m benchmarks`.

Not part of the package. Every row runs in a separate process, checks its work, and is shown with a limit. The limit is
measured in the same run, alternating with the work, so that a busy machine slows both.

| file | content |
|---|---|
| measure, runner, catalogue | benchmark, its conversion to a row, list of benchmarks |
| town, programmes, books | records, and new ledgers to submit them to |
| ledger, drops, open_loop, signed, starts, identifiers, known_ids, draw | rows, one family each |
| compliance, compliance_names, screening, routes | rows of compliance |
| crowd | coroutines in an open loop, and settings of a server process |
| peers, sqlite, postgresql | the same transfers in databases |
| disk, memory | limits |
| stages | time of each stage of a durable frame |
| tables, charts, report, machine | output, and docs/reference/performance.md |
"""
