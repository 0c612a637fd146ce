"""A gateway for messages to phones: a signed POST for each message, as webhooks are sent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from sycee.bank.config import Config
from sycee.bank.phone_messages import Message, OutboxFolder, Program, Way
from sycee.core.clock import Clock, RealClock, read_ns
from sycee.core.keys import SigningKey
from sycee.core.retries import Answer
from sycee.core.timestamps import exact_text
from sycee.server.events.addresses import Network, networks
from sycee.server.events.delivery import body_of, server_key
from sycee.server.events.sender import Sender
from sycee.server.events.webhooks import signed_headers

TYPE: Final = "message.phone"
LOOPBACK: Final = networks("127.0.0.0/8, ::1/128")  # a gateway on this machine needs no TLS


class Gateway:
    """Posts messages to one URL, one at a time. Use it from one thread at a time."""

    def __init__(
        self, url: str, key: SigningKey, permitted: Sequence[Network] = (), clock: Clock | None = None
    ) -> None:
        """Prepare. Raises UsageError for a URL that a webhook could not have."""
        self._sender = Sender(url, permitted=(*permitted, *LOOPBACK))
        self._key, self._clock = key, clock or RealClock()
        self._runner = asyncio.Runner()

    def send(self, message: Message) -> Answer:
        """Post one message, with the same id at every attempt, so that a gateway can leave out a repetition."""
        now_ns = read_ns(self._clock)
        body = body_of(TYPE, exact_text(now_ns), message.members)
        headers = signed_headers(self._key, f"msg_{message.id:032x}", now_ns // 10**9, body)
        return self._runner.run(self._sender.send(body, headers))

    def close(self) -> None:
        """Close the connection."""
        self._runner.run(self._sender.close())
        self._runner.close()


def way_of(config: Config) -> Way | None:
    """Return the way that the settings name; None without one.

    Raises UsageError for a URL, a key or a folder that cannot be used; UnavailableError if the folder cannot be made.
    """
    match config.delivery:
        case "message_program":
            return Program(config.path("message_program"))
        case "message_folder":
            return OutboxFolder(config.path("message_folder"))
        case "message_gateway":
            permitted = networks(config.text("http_webhook_networks"))
            return Gateway(config.text("message_gateway"), server_key(config.path("http_key")), permitted)
        case _:
            return None
