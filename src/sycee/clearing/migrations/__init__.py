"""Revisions of the tables of the clearing house, first to last."""
