"""Alembic revisions of the tables of issuance, in order. A released revision is never changed."""
