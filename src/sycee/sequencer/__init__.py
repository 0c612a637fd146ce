"""One order of frames for a ledger: submit, write, apply, read, verify. The only package that imports ledger and
journal.
"""
