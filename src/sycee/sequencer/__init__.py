"""One order of frames for a ledger: submit, write, apply, read, verify. Imports both `ledger` and `journal`."""
