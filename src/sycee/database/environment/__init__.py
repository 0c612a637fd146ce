"""What Alembic runs a room's revisions by: `env.py`. Revisions are written by hand, so there is no template."""
