"""Alembic environment (`env.py`) for all packages' revisions. Revisions are written by hand, without a template."""
