"""Alembic revisions of the tables of life events, in order. A released revision is never changed."""
