"""Alembic revisions of the tables of the server, in order. A released revision is never changed."""
