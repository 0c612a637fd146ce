"""Synthetic days of payments between banks, and policies of settlement side by side on the same day.

`assumptions` and `synthetic` make a day from a seed, `simulate` settles it under one of the `policies`, `bounds` states
what no policy can exceed, `compare` repeats it over seeds, and `page` writes the report. No ledger, no SQL.
"""
