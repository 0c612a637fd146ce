"""Alembic revisions of the tables of cases, in order. A released revision is never changed."""
