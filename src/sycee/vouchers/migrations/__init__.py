"""Revisions of the tables of vouchers, first to last."""
