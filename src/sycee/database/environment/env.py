"""Run revisions on the connection, and in the transaction, of the caller of `migrations.upgrade`."""

from __future__ import annotations

from alembic import context

_attributes = context.config.attributes
context.configure(connection=_attributes["connection"], version_table=_attributes["version_table"])
with context.begin_transaction():
    context.run_migrations()
