"""Revisions of the tables of bulk payments, first to last."""
