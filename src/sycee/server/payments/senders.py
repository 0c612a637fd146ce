"""Rates of senders, by address: a token bucket for requests and one for failures.

The limits apply before a signature is verified. A failure counts against the address that sent the payment, never
against the account that the payment names: otherwise anybody could block an account.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from sycee.server.payments.settings import PaymentSettings

SENDERS_MAX: Final = 1 << 16  # stored addresses, some 20 MB; the address that was silent longest is dropped first
NETWORK_BITS: Final = 64  # of an IPv6 address: one customer of a provider usually has a whole network


class Sender:
    """Tokens of one address."""

    __slots__ = ("_at_s", "_settings", "failure_tokens", "tokens")

    def __init__(self, settings: PaymentSettings, now_s: float) -> None:
        self._settings = settings
        self._at_s = now_s
        self.tokens = float(settings.burst)
        self.failure_tokens = float(settings.failures_burst)

    def refill(self, now_s: float) -> None:
        """Add the tokens of the time since the last request."""
        settings, elapsed_s = self._settings, now_s - self._at_s
        self._at_s = now_s
        self.tokens = min(settings.burst, self.tokens + elapsed_s * settings.rate_per_s)
        self.failure_tokens = min(settings.failures_burst, self.failure_tokens + elapsed_s * settings.failures_per_s)

    def wait_for_request_s(self) -> float:
        """Take the token of one request; return 0, or the seconds until there is a token."""
        if self.tokens >= 1:
            self.tokens -= 1
            return 0.0
        return (1 - self.tokens) / self._settings.rate_per_s

    def wait_after_failures_s(self) -> float:
        """Return 0, or the seconds until this address may send payments again after failures."""
        if self.failure_tokens >= 1:
            return 0.0
        return (1 - self.failure_tokens) / self._settings.failures_per_s

    def count_failure(self) -> None:
        """Take a token of failures. The number may become negative, since failures are found after admission."""
        self.failure_tokens -= 1


class Senders:
    """The senders of the last requests, at most SENDERS_MAX."""

    def __init__(self, settings: PaymentSettings) -> None:
        self._settings = settings
        self._senders: OrderedDict[str, Sender] = OrderedDict()

    def __len__(self) -> int:
        return len(self._senders)

    def find(self, address: str, now_s: float) -> Sender:
        """Return the sender at an address with its tokens as of `now_s`, a monotonic time."""
        name = network_of(address)
        sender = self._senders.get(name)
        if sender is None:
            sender = self._senders[name] = Sender(self._settings, now_s)
            if len(self._senders) > SENDERS_MAX:
                self._senders.popitem(last=False)
        else:
            self._senders.move_to_end(name)
            sender.refill(now_s)
        return sender


def address_of(scope: Mapping[str, Any], *, forwarded: bool) -> str:
    """Return the address of the sender of a request, as ASGI describes it; "" for a Unix socket.

    `forwarded`: behind a Unix socket is a proxy, and the last address in X-Forwarded-For is the one that it added. The
    addresses before are the sender's own words.
    """
    if client := scope.get("client"):
        return str(client[0])
    last = b""
    for name, value in scope["headers"] if forwarded else ():
        if name == b"x-forwarded-for":
            last = value
    return str(last.rpartition(b",")[2].strip().decode("latin-1"))


@lru_cache(maxsize=SENDERS_MAX)
def network_of(address: str) -> str:
    """Return the name under which an address is limited: an IPv4 address, or an IPv6 network of NETWORK_BITS."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address  # a Unix socket has no address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.IPv6Network((parsed, NETWORK_BITS), strict=False))
    return str(parsed)
