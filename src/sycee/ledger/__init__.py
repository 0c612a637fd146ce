"""State machine of the ledger: accounts, rule sets, programmes, movements. No I/O, no clock, no personal data."""
