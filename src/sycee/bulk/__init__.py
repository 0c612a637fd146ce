"""Bulk payments: files of up to 131 million rows, which a cut never pays twice (docs/reference/bulk.md)."""
