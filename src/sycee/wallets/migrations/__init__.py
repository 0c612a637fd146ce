"""Alembic revisions of the tables of wallets, in order. A released revision is never changed."""
