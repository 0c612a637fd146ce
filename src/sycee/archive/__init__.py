"""Read-only history of a ledger: statements, balances at any frame or time, Parquet files by day, and SQL.

An archive is a copy. It can be deleted and exported again; a ledger never needs it.

- Reading: `history_source`, `history_copy` (copies between two frames), `timestamps`.
- Results: `statements`, `packets`, `balances`, `statement_csv`, `statement_pdf` (extra "bank").
- Archives (extra "bank"): `schema` (columns), `manifest`, `parquet_files`, `tables`, `export`, `exporter` (thread),
  `query` (DuckDB), `check` (comparison with the ledger).
"""
