"""Write docs/reference/http-operations.md from the routers of the API: python -m tools.operations_page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fastapi.routing import APIRoute

from sycee.identity import duties
from sycee.identity.duties import Duty
from sycee.server.app import ROUTERS
from sycee.server.operations import ACCESS, ENVELOPE, OWN, PUBLIC, SESSION, SIGNED_IN

COMMAND: Final = "python -m tools.operations_page"
PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "reference" / "http-operations.md"
NOBODY: Final = "anonymous"
ROLES: Final = (NOBODY, *(duty.value for duty in (Duty.CITIZEN, Duty.MERCHANT)), *(
    duty.value for duty in Duty if duty not in (Duty.CITIZEN, Duty.MERCHANT)
))  # fmt: skip

YES: Final = "yes"
THEIRS: Final = "own"
NO: Final = ""

HEAD: Final = f"""# Operations of the API

Every operation, and who may call it. `{COMMAND}` makes this page from the routers of [the API](http.md); a test calls
each operation in each role and compares the answers with this page.

| cell | meaning |
|---|---|
| yes | the role may call the operation; a list has only what the caller may see |
| own | the same for the caller's own wallet, merchant or person, or customers of the own operator; else 404 or 403 |
| empty | 401 without a login, 403 with one |

| access | meaning |
|---|---|
| `{PUBLIC}` | everybody, without a login |
| `{ENVELOPE}` | everybody: the signature of the record is the authority |
| `{SIGNED_IN}` | everybody with a token or a session |
| `{SESSION}` | every person in a session of a browser, for themselves; no program |
| `{OWN}` | the owner of the thing and the staff of its operator; officers and auditors where nothing is changed |
| other | the name of the action in [duties](duties.md), which the caller's duties must permit |

A role is what a person has besides being a citizen: everybody whose id is stored may do with own wallets what a citizen
may.
"""


def operations() -> Iterator[tuple[str, str, str, str, str]]:
    """Yield group, name, method, path and access of each operation, in the order of the reference page."""
    for router in ROUTERS:
        for route in router.routes:
            if isinstance(route, APIRoute) and ACCESS in (extra := route.openapi_extra or {}):
                (method,) = route.methods or ("GET",)
                yield str(router.tags[0]), route.operation_id or route.name, method, route.path, extra[ACCESS]


def cell(access: str, role: str) -> str:
    """Return whether a role may call an operation with this access."""
    if access in (PUBLIC, ENVELOPE):
        return YES
    if role == NOBODY:
        return NO
    if access in (SIGNED_IN, SESSION, OWN):
        return THEIRS if access == OWN else YES
    rule = duties.rule(access)
    if duties.OWN in rule.makers:
        return THEIRS
    if Duty(role) not in rule.makers:
        return NO
    return THEIRS if rule.own_operator and Duty(role) in duties.OF_INSTITUTION else YES


def made() -> str:
    """Return the page as it should be."""
    lines = [HEAD]
    group = ""
    for tag, name, method, path, access in operations():
        if tag != group:
            lines += [f"\n## {tag.capitalize()}\n", f"| operation | method and path | access | {' | '.join(ROLES)} |"]
            lines += [f"|---|---|---|{'---|' * len(ROLES)}"]
            group = tag
        cells = " | ".join(cell(access, role) for role in ROLES)
        lines.append(f"| `{name}` | {method} `{path}` | `{access}` | {cells} |")
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(made(), encoding="utf-8")


if __name__ == "__main__":
    main()
