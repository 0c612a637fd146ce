"""Alembic environment (`env.py`) for all packages' revisions. Revisions are written manually, without a template."""
