"""Alembic revisions of the key file, in order. A released revision is never changed."""
