"""Alembic revisions of the tables of `database`, in order. A released revision is never changed."""
