"""Bytes that a ledger and its callers share: records of operations, signed envelopes, and proposals."""
