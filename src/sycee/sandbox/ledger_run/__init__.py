"""A programme on a synthetic city, on a ledger: `run.run`. docs/reference/sandbox-run.md is exact."""
