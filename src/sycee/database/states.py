"""States of intents and jobs, as texts of the database."""

from __future__ import annotations

from typing import Final

PENDING: Final = "pending"  # an intent that was not submitted yet
LAPSED: Final = "lapsed"  # an intent of which nothing happened
DONE: Final = "done"  # of intents and of jobs

WAITING: Final = "waiting"  # a job that is due later, or runs
STOPPED: Final = "stopped"  # a job that somebody has to look at
