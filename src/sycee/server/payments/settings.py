"""Settings of the path for signed payments."""

from __future__ import annotations

from dataclasses import dataclass

from sycee.core.arguments import check_integer
from sycee.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class PaymentSettings:
    """Limits of `POST /v1/payments`. An address is an IPv4 address or an IPv6 network of 64 bits.

    Raises UsageError for a value that is not positive.
    """

    rate_per_s: float = 200.0  # requests of one address
    burst: int = 400  # requests that one address may send in one burst
    failures_per_s: float = 1.0  # rate at which an address may send payments with invalid signatures
    failures_burst: int = 20
    waiting_max: int = 4_096  # payments without an answer, from all addresses: about a second's work of two cores
    body_timeout_s: float = 5.0  # for a body that does not arrive together with its header
    forwarded: bool = False  # the last address in X-Forwarded-For counts for requests over a Unix socket

    def __post_init__(self) -> None:
        for name in ("burst", "failures_burst", "waiting_max"):
            check_integer(name, getattr(self, name), low=1)
        for name in ("rate_per_s", "failures_per_s", "body_timeout_s"):
            value = getattr(self, name)
            if not value > 0:
                raise UsageError(f"{name} must be positive; got {value}", hint="give a number such as 0.5 or 200")
