"""Alembic revisions of the tables of programmes, in order. A released revision is never changed."""
