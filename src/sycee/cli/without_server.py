"""Why commands have no --server: the option's error and the page of commands over a server read this table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

FILES: Final = "needs no bank: it works on the files that it names"
JOURNAL: Final = "reads or writes the files of a ledger on this machine; a server holds its own open"
MACHINE: Final = "makes or sets up the bank on its own machine"
SECRETS: Final = "uses private keys or personal data that stay on the bank's machine"
OFFICE: Final = "is for the compliance officer on the bank's machine"
HOUSE: Final = "is for the machine of the clearing house; a participant delivers and reads over a server"
LISTENS: Final = "starts a server, or has the server's address as its own argument"

# By command, or by a group for all its commands without --server.
REASONS: Final[Mapping[str, str]] = {
    "pilot": FILES,
    "draw": FILES,
    "simulate": FILES,
    "sandbox": FILES,
    "compliance": FILES,
    "compliance declare": OFFICE,
    "compliance admit": OFFICE,
    "checkpoint verify": FILES,
    "key new": FILES,
    "key prove": FILES,
    "query": FILES,
    "day verify": FILES,
    "drop try": FILES,
    "clearing days": FILES,
    "clearing sign": FILES,
    "clearing verify": FILES,
    "verify": JOURNAL,
    "snapshot": JOURNAL,
    "restore": JOURNAL,
    "checkpoint create": JOURNAL,
    "export": JOURNAL,
    "init": MACHINE,
    "config": MACHINE,
    "clock": MACHINE,
    "key list": SECRETS,
    "key rotate-master": SECRETS,
    "person verify": SECRETS,
    "wallet codes": SECRETS,
    "clearing": HOUSE,
    "demo": LISTENS,
    "serve": LISTENS,
    "load": LISTENS,
    "conformance": LISTENS,
}


def reason(words: Sequence[str]) -> str | None:
    """Return why a command has no --server, from the words of its call; None for another one."""
    for size in (2, 1):
        found = REASONS.get(" ".join(words[:size]))
        if found is not None:
            return found
    return None
