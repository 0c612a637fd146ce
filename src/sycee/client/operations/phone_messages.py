"""Messages to phones that were not delivered."""

from __future__ import annotations

from sycee.client.calls import Call, Members, Page, action, listed, require_same, value
from sycee.client.operations.arguments import name_of
from sycee.client.values import UndeliveredMessage


def undelivered_messages() -> Call[Page[UndeliveredMessage]]:
    """Return the messages to phones that wait, were given up or expired, oldest first. None has a phone."""
    return listed("/v1/messages/undelivered", value(UndeliveredMessage))


def send_message_again(message: int | str, *, id: int = 0) -> Call[str]:
    """Have a dead letter sent again; return its id. One that had a secret is refused."""
    name = name_of(message)

    def make(members: Members) -> str:
        require_same(members, "message", name)
        return name

    return action(f"/v1/messages/undelivered/{name}/again", {}, make, id=id)
