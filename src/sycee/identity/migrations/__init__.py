"""Alembic revisions of the identity tables, in order. A released revision is never changed."""
