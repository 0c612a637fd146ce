"""What commands print of messages to phones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sycee.cli.terminal import print_list, show
from sycee.core.errors import UnavailableError
from sycee.core.words import quantity

if TYPE_CHECKING:
    from sycee.bank.phone_messages import Delivered


def show_delivered(done: Delivered, what: str) -> None:
    """Print how many messages were sent. Raises UnavailableError if one was not: it waits, or is a dead letter."""
    show(f"{quantity(done.sent, what)} sent")
    if done.failed:
        raise UnavailableError(
            f"{quantity(done.failed, what)} not sent: {done.reason}",
            hint="`sycee person notices` shows what waits and what was given up",
        )


def print_notices(rows: Sequence[Mapping[str, Any]], times: Sequence[str], *, as_json: bool) -> int:
    """Print the notices that were not delivered, with the local time of each in a table; return the exit code 0."""
    if not as_json:
        rows = [{**row, "time": time} for row, time in zip(rows, times, strict=True)]
    columns = ("notice", "person", "text", "time", "state", "attempts", "reason")
    return print_list("notices", rows, *columns, keys=columns, numbers=("attempts",), as_json=as_json)
