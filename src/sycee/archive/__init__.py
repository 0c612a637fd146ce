"""The ledger's history for reading: statements, balances as of any frame, Parquet by day, and SQL over it.

Read from below: `reading` is where a history comes from, `moments` what day it is, `columns` copies parts of it in
short slices; `statements`, `packets` and `balances` answer from them. `schema` names every column, `manifest` says what
an archive holds, `files` and `tables` make one file, `export` the whole, `exporter` does so in the background, `query`
is DuckDB over it, locked down, and `check` compares it with the ledger. Nothing here is needed to rebuild a ledger: an
archive can be thrown away and made again.
"""
