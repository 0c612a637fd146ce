"""Tags, and a step that a test can make fail."""

from __future__ import annotations

import os

import sqlalchemy
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table("tags", sqlalchemy.Column("name", sqlalchemy.Text, primary_key=True))
    if "FAIL_IN_0002" in os.environ:
        raise ArithmeticError("made to fail")
