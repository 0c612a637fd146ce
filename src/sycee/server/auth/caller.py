"""The caller of a request, as services and access rules receive it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sycee.server.auth.logins import Session


class CallerKind(StrEnum):
    """How a caller was authenticated."""

    ANONYMOUS = "anonymous"
    MACHINE = "machine"  # a registered client, by an access token bound to its key
    PERSON = "person"  # by a session after a passkey or an OIDC login


READ: Final = "read"  # requests that change nothing
WRITE: Final = "write"  # all requests that the person's duties allow
SCOPES: Final = (READ, WRITE)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request.

    - `person`: the id that services receive as `who`, `by` or `maker`; 0 for an anonymous caller.
    - `client`: id of the registered client; 0 unless `kind` is MACHINE.
    - `operator`: number of the operator for which a client acts; None for persons, and for clients without one.
    - `scopes`: of SCOPES. They narrow what the duties of the person allow, and add nothing.
    - `address`: network address of the sender.
    - `session`: of a person; `is_masked`: whether it shows personal data masked only.
    """

    kind: CallerKind
    address: str
    person: int = 0
    client: int = 0
    operator: int | None = None
    scopes: frozenset[str] = frozenset()
    session: Session | None = None
    is_masked: bool = False

    @property
    def signed_in(self) -> bool:
        """Whether the caller is known."""
        return self.kind is not CallerKind.ANONYMOUS

    def may(self, scope: str) -> bool:
        """Return whether the caller has a scope."""
        return scope in self.scopes
