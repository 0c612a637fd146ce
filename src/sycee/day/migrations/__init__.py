"""Alembic revisions of the tables of days, in order. A released revision is never changed."""
