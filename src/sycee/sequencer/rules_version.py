"""The version of the ledger's rules, and the UPGRADE record that changes it.

The rules are docs/reference/ledger.md. A change of a kernel's behaviour raises RULES_VERSION. The first frame after a
start with the new release is then an UPGRADE record, so a replay finds the rules of each frame.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from blake3 import blake3

from sycee.core.arrays import Array
from sycee.core.errors import UnavailableError, UsageError
from sycee.core.records import operations
from sycee.core.records.layout import Kind
from sycee.ledger.state import LedgerState

RULES_VERSION: Final = 2  # written by this release
# Oldest version that this release replays. A ledger of an older one opens too if its movements are equal.
RULES_OLDEST: Final = 2
# Last release that replays each older version; "" if none does, because the version was never released.
RELEASES: Final = {0: "", 1: ""}

_ID_CONTEXT: Final = "sycee 2026-11-25 id of an upgrade record"


def upgrade_record(state: LedgerState) -> Array:
    """Return the UPGRADE to this release's rules, (1,) layout.OPERATION, under an id that is free in `state`.

    The id is derived from the version alone, so that two ledgers with equal operations have equal digests. If that id
    is bound, the next candidate is used.
    """
    attempt = 0
    while True:
        seed = RULES_VERSION.to_bytes(4, "little") + attempt.to_bytes(4, "little")
        id = int.from_bytes(blake3(seed, derive_key_context=_ID_CONTEXT).digest(16), "little")
        if state.bound_of(id) is None:
            return operations.upgrade(id, rules=RULES_VERSION, release=f"sycee {version('sycee')}")
        attempt += 1


def replay_hint(rules: int) -> str:
    """Return the next step for a ledger under rules that are older than RULES_OLDEST."""
    if release := RELEASES[rules]:
        return f"Use Sycee {release}, which replays it. Nothing was changed."
    return (
        "No release has these rules: a development version wrote the ledger. Replay it with the commit that wrote it, "
        "or begin a new ledger. Nothing was changed."
    )


def check_upgrades(records: Array) -> None:
    """Raise UsageError if a caller's UPGRADE names a version of the rules newer than this release's."""
    asked = records["number"][records["kind"] == Kind.UPGRADE]
    if asked.size and int(asked.max()) > RULES_VERSION:
        raise UsageError(
            f"UPGRADE to version {int(asked.max())} of the rules; this release supports up to {RULES_VERSION}",
            hint="do not submit an UPGRADE: a newer release writes it before its first frame",
        )


def check_rules(state: LedgerState) -> None:
    """Raise UnavailableError if the ledger follows rules that this release does not support."""
    if state.rules > RULES_VERSION:
        raise UnavailableError(
            f"this ledger follows version {state.rules} of the rules; this release supports up to {RULES_VERSION}",
            hint="Use the release that wrote it, or a newer one. Nothing was changed.",
        )
