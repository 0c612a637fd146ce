"""Settings of authentication."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from sycee.core.errors import UsageError

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
MINUTE_NS: Final = 60 * 10**9


@dataclass(frozen=True, slots=True)
class Provider:
    """An OpenID provider. `name` is part of addresses; `client_secret` comes from a file, and is "" for none."""

    name: str
    issuer: str
    client_id: str
    client_secret: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.issuer)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
            raise UsageError(f"the OpenID issuer {self.issuer!r} has no https address", hint="name an https:// address")


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `count` events in `seconds`."""

    count: int
    seconds: int = 60


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """Settings of authentication.

    - `public_url`: the server's address as browsers and clients use it, without a path: issuer and audience of tokens.
    - `rp_id`: of passkeys; "" for the host of `public_url`. Browsers refuse IP addresses.
    - `dpop_nonce`: require a nonce of this server in every DPoP proof.
    """

    public_url: str = "http://localhost:8000"
    rp_id: str = ""
    rp_name: str = "Sycee"
    dpop_nonce: bool = False
    providers: tuple[Provider, ...] = ()
    session_idle_ns: int = 30 * MINUTE_NS
    session_ns: int = 12 * 60 * MINUTE_NS
    requests_per_address: RateLimit = RateLimit(6_000)
    requests_per_token: RateLimit = RateLimit(6_000)
    failures_per_address: RateLimit = RateLimit(60)

    def __post_init__(self) -> None:
        parts = urlsplit(self.public_url)
        local = parts.scheme == "http" and parts.hostname in LOOPBACK
        if not (parts.scheme == "https" or local) or not parts.hostname or parts.path or parts.query:
            raise UsageError(
                f"the address {self.public_url!r} is not https://HOST[:PORT], or http://localhost[:PORT]",
                hint="browsers send cookies and passkeys to secure addresses only",
            )
        if self.rp_id and parts.hostname != self.rp_id and not parts.hostname.endswith(f".{self.rp_id}"):
            raise UsageError(
                f"rp_id {self.rp_id!r} is not the host {parts.hostname!r} or a parent domain of it",
                hint="leave rp_id empty for the host of the server's address",
            )

    @property
    def secure(self) -> bool:
        """Whether the server's address is https."""
        return self.public_url.startswith("https:")

    @property
    def relying_party(self) -> str:
        """Return the RP id of passkeys."""
        return self.rp_id or urlsplit(self.public_url).hostname or ""
