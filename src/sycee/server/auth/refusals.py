"""Errors of authentication, with the HTTP status and headers of the RFCs.

The messages do not name the part that was wrong: RFC 6750 and RFC 9449 define the codes, which are all that a sender
receives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sycee.core.errors import SyceeError

ALGORITHMS: Final = ("ES256", "EdDSA", "Ed25519")  # EdDSA: the earlier name of Ed25519 (RFC 9864)
CHALLENGE: Final = f'DPoP algs="{" ".join(ALGORITHMS)}"'


class NotAuthenticated(SyceeError):
    """The credentials of a request are not valid: HTTP 401, or 400 from the token endpoint.

    - `code`: "invalid_token", "invalid_dpop_proof", "use_dpop_nonce", "invalid_client", … of the RFCs.
    - `nonce`: value of the header DPoP-Nonce, if one is to be sent. `cookie`: of the header Set-Cookie.
    """

    status = 401

    def __init__(self, code: str = "invalid_token", *, nonce: str = "", cookie: str = "", status: int = 401) -> None:
        super().__init__("the credentials of this request are not valid", hint="authenticate again")
        self.code = code
        self.nonce = nonce
        self.cookie = cookie
        self.status = status

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers of the answer."""
        error = f', error="{self.code}"' if self.code else ""
        sent = {"WWW-Authenticate": CHALLENGE + error, "Cache-Control": "no-store"}
        others = {"DPoP-Nonce": self.nonce, "Set-Cookie": self.cookie}
        return sent | {name: value for name, value in others.items() if value}


class ForeignOrigin(SyceeError):
    """A browser sent a session cookie from a page of another origin: HTTP 403."""

    status = 403
    headers: Final[Mapping[str, str]] = {"Cache-Control": "no-store"}

    def __init__(self) -> None:
        super().__init__("the request came from a page of another origin", hint="use the pages of this server")


class TooManyRequests(SyceeError):
    """The sender exceeded a rate limit: HTTP 429. `retry_after_s`: when the next request is accepted."""

    status = 429

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("too many requests", hint=f"wait {retry_after_s} s")
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers of the answer."""
        return {"Retry-After": str(self.retry_after_s), "Cache-Control": "no-store"}


class ScopeMissing(SyceeError):
    """The token has no scope for the request: HTTP 403."""

    status = 403
    headers: Final[Mapping[str, str]] = {
        "WWW-Authenticate": f'{CHALLENGE}, error="insufficient_scope", scope="write"',
        "Cache-Control": "no-store",
    }

    def __init__(self) -> None:
        super().__init__("the token permits reading only", hint="request a token with the scope write")


class SessionNeeded(SyceeError):
    """The operation is a person's own, in a session, and a program asked: HTTP 403."""

    status = 403
    headers: Final[Mapping[str, str]] = {"Cache-Control": "no-store"}

    def __init__(self) -> None:
        super().__init__("programs do not act on the logins of a person", hint="log in with a browser")


class LoginTooOld(SyceeError):
    """A change of logins needs a session that began a moment ago: HTTP 403."""

    status = 403
    headers: Final[Mapping[str, str]] = {"Cache-Control": "no-store"}

    def __init__(self) -> None:
        super().__init__("this session is too old for a change of your logins", hint="log in again, and repeat it")
