"""Alembic revisions of the compliance tables, in order. A released revision is never changed."""
