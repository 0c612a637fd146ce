"""Check packs of days on another machine: their chain and signatures, and their figures against a copy of the ledger.

Neither a database nor a key file of the bank is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sycee.archive import history_copy
from sycee.archive.history_source import ReplayedLedger
from sycee.core.errors import IntegrityError, UsageError
from sycee.core.keys import PublicKey
from sycee.core.records.day_packs import COUNTERSIGNER, check_chain, check_keys, check_signatures
from sycee.core.words import quantity
from sycee.day import figures
from sycee.day.pack import Pack
from sycee.ledger.state import LedgerState
from sycee.sequencer import verify


@dataclass(frozen=True, slots=True)
class PackReport:
    """Result of a check of packs. `findings`: one sentence for each property that was not proved."""

    packs: int
    first: str
    last: str
    proved: tuple[str, ...]
    findings: tuple[str, ...]


def verify_packs(
    paths: Sequence[Path],
    *,
    ledger: Path | None = None,
    keys: Sequence[PublicKey] = (),
    progress: Callable[[int], None] | None = None,
) -> PackReport:
    """Check the packs in files, in any order.

    - `keys`: the keys of those who may close and countersign, from a source other than the packs.
    - `ledger`: folder with a copy of the ledger, which is replayed; all figures are computed again from it.
    - `progress`: called with the number of frames read so far.

    Raises IntegrityError for a pack that is missing, changed, signed by one person twice or by an unknown key, and for
    a wrong figure; UsageError for a file that is no pack.
    """
    if not paths:
        raise UsageError("there is no pack to check", hint="name the files: packs/*.json")
    packs = sorted((Pack.load(path) for path in paths), key=lambda pack: pack.number)
    findings = []
    for pack in packs:
        is_last = pack is packs[-1]
        check_signatures(pack, complete=not is_last)
        if pack.of(COUNTERSIGNER) is None:
            findings.append(f"the pack of {pack.body['day']} has no second signature yet")
        if keys:
            check_keys(pack, keys)
    check_chain(packs)
    if packs[0].number > 1:
        findings.append(f"packs 1 to {packs[0].number - 1} were not given: the chain was checked from {packs[0].day}")
    if not keys:
        findings.append("no key was given: the signers' keys were taken from the packs")
    if packs[0].body["rehearsal"]:
        findings.append("the packs are of a rehearsal")
    proved = [f"{quantity(len(packs), 'pack')} in one chain, and every signature belongs to its pack"]
    if keys:
        proved.append("every signature was made with one of the given keys")
    if ledger is not None:
        replayed = _replay(packs, ledger, progress)
        checkpoints, days = quantity(len(packs), "checkpoint"), quantity(len(packs), "day")
        proved.append(f"{checkpoints} and all figures of {days} agree with the ledger")
        proved += [each for each in replayed.proved if each.startswith("the checkpoint at frame")]
        unsigned = [pack.checkpoint.position.sequence for pack in packs if not pack.is_witnessed]
        expected = tuple(f"the checkpoint at frame {sequence} agrees, but" for sequence in unsigned)
        findings += [each for each in replayed.findings if not (expected and each.startswith(expected))]
        if unsigned:
            count = quantity(len(unsigned), "checkpoint")
            findings.append(f"{count} without a witness: the closer's signature alone covers them")
    return PackReport(len(packs), packs[0].body["day"], packs[-1].body["day"], tuple(proved), tuple(findings))


def check_figures(pack: Pack, found: figures.Figures) -> None:
    """Raise IntegrityError unless a pack has these figures. The message names the first that differs, and both."""
    document = figures_document(found)
    for name, value in document.items():
        if pack.body[name] != value:
            raise IntegrityError(
                f"the pack of {pack.body['day']} differs from the ledger: its {name} is {pack.body[name]}, the ledger "
                f"gives {value}",
                hint="one of them was changed, or belongs to another bank",
            )


def figures_document(found: figures.Figures) -> dict[str, object]:
    """Return the fields of a pack that follow from the ledger alone."""
    return {
        "opened_after_frame": str(found.after),
        "cutoff_frame": str(found.frame),
        "supply": str(found.supply),
        "reserves": {str(number): str(minor) for number, minor in found.reserves.items()},
        "reserve_suspense": str(found.reserve_suspense),
        "operations": dict(found.operations),
        "positions": {
            name: {
                "opening": str(each.opening),
                "received": str(each.received),
                "paid": str(each.paid),
                "closing": str(each.closing),
                "parts": {part: str(minor) for part, minor in each.parts.items()},
            }
            for name, each in found.positions.items()
        },
    }


def _check_cutoff(state: LedgerState, pack: Pack) -> None:
    """Raise IntegrityError unless the day's last frame is the last one with operations before the cut-off.

    Frames without operations do not count: closing the ledger writes one right after the frame before it.
    """
    cutoff_ns, day = int(pack.body["cutoff_ns"]), pack.body["day"]
    if pack.frame and int(state.frame_times[pack.frame]) >= cutoff_ns:
        raise IntegrityError(f"frame {pack.frame:,}, the last one of {day}, is not before the cut-off")
    before = history_copy.frame_before(state, cutoff_ns)
    missing = history_copy.operations_until(state, before) - history_copy.operations_until(state, pack.frame)
    if missing > 0:
        raise IntegrityError(
            f"{missing:,} operations before the cut-off of {day} follow frame {pack.frame:,}, the last one in its pack",
            hint="the day was closed before it was over, or one of the two was changed",
        )


def _replay(packs: Sequence[Pack], ledger: Path, progress: Callable[[int], None] | None) -> verify.Verification:
    def check(state: LedgerState) -> str:
        source = ReplayedLedger(bytes.fromhex(packs[0].body["ledger"]), state)
        for pack in packs:
            _check_cutoff(state, pack)
            number = int(pack.body["currency_number"])
            found = figures.compute(source, number, after=pack.after, frame=pack.frame)
            check_figures(pack, found)
        return f"the figures of {quantity(len(packs), 'day')} follow from the ledger"

    return verify.verify(
        ledger, progress=progress, checkpoints=[pack.checkpoint for pack in packs], extra_checks=[check]
    )
