"""Settings of authentication, from the settings of a bank."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from sycee.bank.config import Config
from sycee.core import documents
from sycee.core.errors import UsageError
from sycee.core.secret_files import read_secret

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
    - `behind_proxy`: the server listens on a Unix socket of a proxy, which states the sender's address.
    - `dpop_nonce`: require a nonce of this server in every DPoP proof.
    """

    public_url: str = "http://localhost:8000"
    rp_id: str = ""
    rp_name: str = "Sycee"
    dpop_nonce: bool = False
    behind_proxy: bool = False
    providers: tuple[Provider, ...] = ()
    session_idle_ns: int = 30 * MINUTE_NS
    session_ns: int = 12 * 60 * MINUTE_NS
    masked_ns: int = 24 * 60 * MINUTE_NS  # how long a login that staff invited shows personal data masked
    recovery_ns: int = 24 * 60 * MINUTE_NS  # from the approval of a recovery until its code works
    requests_per_address: RateLimit = RateLimit(6_000)
    requests_per_token: RateLimit = RateLimit(6_000)
    failures_per_address: RateLimit = RateLimit(60)
    lookups_per_address: RateLimit = RateLimit(1_000, 3_600)  # of aliases; an address may be that of a whole network

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

    @classmethod
    def of(cls, config: Config) -> AuthSettings:
        """Return the settings of a bank. Raises UsageError for a wrong file of providers."""
        text = config.text
        requests = RateLimit(int(text("http_requests_per_minute")))
        return cls(
            public_url=text("http_origin"),
            rp_id=text("http_passkey_domain"),
            behind_proxy=text("http_address").startswith("unix:"),
            providers=providers(config.path("http_openid")) if text("http_openid") else (),
            requests_per_address=requests,
            requests_per_token=requests,
            failures_per_address=RateLimit(int(text("http_failures_per_minute"))),
            masked_ns=int(text("login_masked_hours")) * 60 * MINUTE_NS,
            recovery_ns=int(text("login_recovery_hours")) * 60 * MINUTE_NS,
        )

    @property
    def secure(self) -> bool:
        """Whether the server's address is https."""
        return self.public_url.startswith("https:")

    @property
    def relying_party(self) -> str:
        """Return the RP id of passkeys."""
        return self.rp_id or urlsplit(self.public_url).hostname or ""


def providers(path: Path) -> tuple[Provider, ...]:
    """Return the OpenID providers in a TOML file: tables [[provider]].

    `client_secret_file` is a path from the file's folder; without it, the client is a public one. Raises UsageError.
    """
    table = documents.read(path)
    found = []
    for each in table.tables("provider"):
        secret = each.text("client_secret_file", "")
        value = read_secret(path.parent / secret, what="client secret", hint="name its file") if secret else b""
        made = Provider(each.text("name"), each.text("issuer"), each.text("client_id"), value.decode().strip())
        each.finish()
        found.append(made)
    table.finish()
    return tuple(found)
