"""Which version of the ledger's rules a ledger follows, and the record that says so.

The rules are docs/reference/ledger.md. Whoever changes what a kernel does raises RULES_VERSION; the first frame after
a start with the new release is then an UPGRADE record, and a replay knows from which frame on which rules held.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from blake3 import blake3

from sycee.core.arrays import Array
from sycee.core.errors import UnavailableError, UsageError
from sycee.ledger import operations
from sycee.ledger.layout import Kind
from sycee.ledger.state import LedgerState

RULES_VERSION: Final = 2  # what this release writes
RULES_OLDEST: Final = 2  # the oldest that it replays
# Which release is the last to replay what this one does not.
RELEASES: Final = {0: "0.1.0", 1: "0.1.0"}

_ID_CONTEXT: Final = "sycee 2026-11-25 id of an upgrade record"


def upgrade_record(state: LedgerState) -> Array:
    """The UPGRADE to this release's rules, (1,) layout.OPERATION, under an id that is free in `state`.

    The id follows from the version alone, so that two ledgers to which the same was done end with the same digest.
    Should somebody have taken it, the next one is.
    """
    attempt = 0
    while True:
        seed = RULES_VERSION.to_bytes(4, "little") + attempt.to_bytes(4, "little")
        id = int.from_bytes(blake3(seed, derive_key_context=_ID_CONTEXT).digest(16), "little")
        if state.bound_of(id) is None:
            return operations.upgrade(id, rules=RULES_VERSION, release=f"sycee {version('sycee')}")
        attempt += 1


def check_upgrades(records: Array) -> None:
    """A caller must not lift the ledger to rules that nobody has. Raises UsageError."""
    asked = records["number"][records["kind"] == Kind.UPGRADE]
    if asked.size and int(asked.max()) > RULES_VERSION:
        raise UsageError(
            f"an UPGRADE to version {int(asked.max())} of the rules, where this release knows {RULES_VERSION}",
            hint="leave it to the ledger: a newer release writes its own UPGRADE when it first writes",
        )


def check_rules(state: LedgerState) -> None:
    """Raises UnavailableError where the ledger went on to rules that this release does not know."""
    if state.rules > RULES_VERSION:
        raise UnavailableError(
            f"this ledger follows version {state.rules} of the rules, and this release knows {RULES_VERSION}",
            hint="Use the release that wrote it, or a newer one. Nothing was changed.",
        )
