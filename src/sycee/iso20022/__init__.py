"""Messages of ISO 20022: bytes to values, and values to bytes. Knows no ledger, no SQL and no compliance."""
