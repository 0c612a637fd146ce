"""Alembic revisions of the tables of personal data, in order. A released revision is never changed."""
