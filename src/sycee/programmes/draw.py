"""A draw that anyone can check, in two steps as in life.

`freeze` publishes the list and names a future round of a public beacon; `draw` finds the winners once that round is
known. `verify` recomputes everything from the published files alone, and `check_entry` checks the entry of one
registrant. docs/reference/draw.md specifies the files; `sycee.programmes.draw_rule` computes.

With a folder, each step writes its files, and the next step may run in another process. Without one, the same code
works in memory. `progress(done, total)` counts hashes.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from sycee.core import merkle, sha256
from sycee.core.arrays import Bytes
from sycee.core.errors import IntegrityError, UsageError, require
from sycee.core.output_files import write_file
from sycee.core.sha256 import Progress
from sycee.core.terminal_text import printable
from sycee.programmes import draw_files, draw_rule, successions
from sycee.programmes.definition import REPLAY_BEACON, DrawRule
from sycee.programmes.draw_files import Announcement, Beacon, StratumAnnounced

_T = TypeVar("_T")

_REPLAY_SALT_TAG: Final = b"sycee.replay.salt.v1"
_REPLAY_BEACON_TAG: Final = b"sycee.replay.beacon.v1"


@dataclass(frozen=True, slots=True)
class Entries:
    """One row per person in the draw. A document or phone of 0: the person has none."""

    documents: NDArray[np.uint64]
    phones: NDArray[np.uint64]
    salts: Bytes  # [n, 32], secret until the registrant shows it
    strata: NDArray[np.uint8] | None = None  # index of the stratum in the draw rule; None for a rule with one stratum

    def __len__(self) -> int:
        return len(self.documents)


@dataclass(frozen=True, slots=True)
class FrozenList:
    """A frozen list: its announcement, and the commitments in list order, uint8 [n, 32].

    `order[i]` is the row in `Entries` of entry i. It links the list to people, so it is never published. It is None for
    a list read from published files.
    """

    announcement: Announcement
    commitments: Bytes
    order: NDArray[np.int64] | None
    folder: Path | None


@dataclass(frozen=True, slots=True)
class Winners:
    """The result of a draw. `tickets` has a row for each entry, in list order.

    The other arrays have a row for each winner, by stratum, then by rank.
    """

    announcement: Announcement
    beacon: Beacon
    tickets: Bytes
    index: NDArray[np.int64]  # position in the list
    rank: NDArray[np.int64]  # from 1 in each stratum
    stratum: NDArray[np.uint8]
    entries: NDArray[np.int64] | None  # rows in `Entries`; None if the list was read from published files

    def packet_order(self, commitments: Bytes, classes: int) -> NDArray[np.int64]:
        """Return the rows of the winners in the order in which packets are allotted.

        `commitments` are those of the list, uint8 [n, 32]; `classes` is the number of packet classes of the programme.
        """
        if classes == 1 or len(self.announcement.strata) == 1:
            return np.arange(len(self.index))
        return draw_rule.packet_order(self.beacon.value, self.announcement.root, commitments[self.index])


def freeze_list(
    folder: Path | None,
    programme: str,
    rule: DrawRule,
    entries: Entries,
    *,
    frozen_at_ns: int,
    progress: Progress | None = None,
) -> FrozenList:
    """Freeze the list and announce it: write entries.bin and announcement.json if a folder is given.

    Raises UsageError if the beacon may be known already, an entry is repeated, a stratum is empty or unknown, there are
    too many entries, or the folder holds another announcement.
    """
    if rule.is_drawn and frozen_at_ns >= rule.beacon_due_ns:
        raise UsageError(
            f"the list would be frozen at {draw_files.moment_text(frozen_at_ns)}, but the beacon is due "
            f"{draw_files.moment_text(rule.beacon_due_ns)} and may be known",
            hint="name a round that is still to come",
        )
    counts = _entries_per_stratum(rule, entries)
    steps = _Steps(progress, len(entries) + merkle.hashes_needed(len(entries)))
    unordered = draw_rule.commitments(entries.documents, entries.phones, entries.salts, progress=steps.part())
    order = draw_rule.digest_order(unordered)
    repeated = draw_rule.first_repeated(unordered, order)
    if repeated is not None:
        raise UsageError(
            f"entries {repeated[0]} and {repeated[1]} are the same person with the same salt",
            hint="deduplicate before the freeze",
        )
    if entries.strata is not None:
        order = order[np.argsort(entries.strata[order], kind="stable")]
    commitments = unordered[order]
    del unordered
    root = merkle.root(commitments, progress=steps.part())
    announcement = Announcement(
        programme=programme,
        rule=rule.rule,
        strata=tuple(
            # With more packets than people everyone wins: the announced number of winners is the number of people.
            StratumAnnounced(stratum.name, count, min(count, stratum.winners))
            for stratum, count in zip(rule.strata, counts, strict=True)
        ),
        root=root,
        beacon_source=rule.beacon_source,
        beacon_round=rule.beacon_round,
        beacon_due_ns=rule.beacon_due_ns,
        frozen_at_ns=frozen_at_ns,
        synthetic=rule.beacon_source == REPLAY_BEACON,
    )
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        # Another announcement is refused before the old list is overwritten.
        path = folder / draw_files.ANNOUNCEMENT
        if path.exists():
            draw_files.publish_once(path, announcement.content())
        write_file(folder / draw_files.ENTRIES, commitments.data)
        draw_files.publish_once(path, announcement.content())
    return FrozenList(announcement, commitments, order, folder)


def read_frozen(folder: Path, *, progress: Progress | None = None) -> FrozenList:
    """Read a frozen list. IntegrityError if its files are damaged or it does not lead to the announced root."""
    announcement = draw_files.read_announcement(folder)
    commitments = draw_files.read_digests(folder / draw_files.ENTRIES, announcement.entries)
    root = merkle.root_computed_once(commitments, progress=progress)
    require(
        root == announcement.root,
        f"{draw_files.ENTRIES}: its root is {root.hex()}, but {announcement.root.hex()} was announced",
    )
    return FrozenList(announcement, commitments, None, folder)


def draw_winners(source: Path | FrozenList, beacon: Beacon, *, progress: Progress | None = None) -> Winners:
    """Find the winners of a frozen list, given or read from a folder; in a folder publish beacon, tickets and winners.

    Raises UsageError if the beacon is not the announced one, or another one was published.
    """
    frozen = read_frozen(source) if isinstance(source, Path) else source
    announcement = frozen.announcement
    if not announcement.is_drawn:
        raise UsageError("every entry of this list gets a packet", hint="nothing is drawn under this rule")
    difference = _beacon_difference(announcement, beacon)
    if difference is not None:
        raise UsageError(f"this beacon is not the announced one: {difference}", hint="give the announced round")
    if len(beacon.value) != draw_files.BEACON_BYTES:
        raise UsageError(
            f"the beacon has {len(beacon.value)} bytes, not {draw_files.BEACON_BYTES}",
            hint="docs/reference/draw.md describes how to use a longer or shorter value",
        )
    if frozen.folder is not None:
        draw_files.publish_once(frozen.folder / draw_files.BEACON, beacon.content())
    tickets = draw_rule.tickets(beacon.value, announcement.root, frozen.commitments, progress=progress)
    winners = _select(announcement, beacon, tickets, frozen.order)
    if frozen.folder is not None:
        write_file(frozen.folder / draw_files.TICKETS, tickets.data)
        write_file(frozen.folder / draw_files.WINNERS, winners_csv(winners, frozen.commitments))
    return winners


def winners_csv(winners: Winners, commitments: Bytes) -> bytes:
    """Return the bytes of winners.csv."""
    names = [stratum.name for stratum in winners.announcement.strata]
    commitment_text = commitments[winners.index].tobytes().hex()
    ticket_text = winners.tickets[winners.index].tobytes().hex()
    rows = zip(winners.rank.tolist(), winners.stratum.tolist(), winners.index.tolist(), strict=True)
    lines = [
        f"{rank},{names[stratum]},{index},{commitment_text[at : at + 64]},{ticket_text[at : at + 64]}\n"
        for at, (rank, stratum, index) in zip(range(0, len(commitment_text), 64), rows, strict=True)
    ]
    return (draw_files.WINNERS_HEADER + "".join(lines)).encode("ascii")


# --- checking -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Check:
    """One check. `passed` is None for a check that an earlier failure made impossible. `detail` is printable."""

    name: str
    passed: bool | None
    detail: str


@dataclass(frozen=True, slots=True)
class Verification:
    """The checks of published files. `announcement` and `beacon` are None if they have a wrong form."""

    checks: tuple[Check, ...]
    announcement: Announcement | None
    announcement_digest: bytes
    beacon: Beacon | None = None

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    def require(self, problem: str = "the draw does not prove its winners") -> None:
        """Raise IntegrityError with each failed check unless every check passed."""
        _require(self.checks, problem)


def verify_list(folder: Path, *, announced: bytes | None = None, progress: Progress | None = None) -> Verification:
    """Check that a frozen list is the announced one, before the draw or after it. Arguments and errors as `verify`."""
    checks, digest, announcement = _announced(folder, announced)
    if announcement is None:
        checks.skip(("entries", "list order", "root"), "no announcement to check against")
    else:
        _check_list(checks, folder, announcement, progress)
    return Verification(checks.done(), announcement, digest)


def _announced(folder: Path, announced: bytes | None) -> tuple[_Checks, bytes, Announcement | None]:
    """Check the announcement; return the checks so far, its SHA-256, and the announcement if it has the right form."""
    checks = _Checks()
    digest = hashlib.sha256(draw_files.read_json_bytes(folder / draw_files.ANNOUNCEMENT)).digest()
    announcement = checks.run("announcement", lambda: draw_files.read_announcement(folder), _announcement_detail)
    if announced is not None:
        checks.add(
            "announcement as known outside",
            hmac.compare_digest(digest, announced),
            f"SHA-256 is {digest.hex()}, expected {announced.hex()}",
        )
    return checks, digest, announcement


def _check_list(checks: _Checks, folder: Path, announcement: Announcement, progress: Progress | None) -> Bytes | None:
    """Check entries, their order and their root; return the list, None if the file has a wrong size."""
    count = announcement.entries
    commitments = checks.run(
        "entries",
        lambda: draw_files.read_digests(folder / draw_files.ENTRIES, count),
        lambda _: f"{count} commitments, as announced",
    )
    if commitments is None:
        checks.skip(("list order", "root"), "no entries to check")
        return None
    checks.run("list order", lambda: _check_order(announcement, commitments), str)
    root = merkle.root(commitments, progress=progress)
    detail = f"{root.hex()}, as announced"
    if root != announcement.root:
        detail = f"{draw_files.ENTRIES} leads to {root.hex()}, but {announcement.root.hex()} was announced"
    checks.add("root", root == announcement.root, detail)
    return commitments


def verify(folder: Path, *, announced: bytes | None = None, progress: Progress | None = None) -> Verification:
    """Recompute a draw from its published files alone.

    `announced` is the SHA-256 of announcement.json from a place outside the folder (a newspaper, a notary), published
    before the beacon: no other check detects an announcement replaced as a whole. Wrong content leads to failed
    checks, not to an error. Raises UsageError for a missing file, UnavailableError for a file that the system refuses
    to read, IntegrityError for an announcement of more than 1 MiB.
    """
    checks, digest, announcement = _announced(folder, announced)
    if announcement is None:
        checks.skip(
            ("entries", "list order", "root", "beacon", "tickets", "winners"), "no announcement to check against"
        )
        return Verification(checks.done(), None, digest)
    count = announcement.entries
    steps = _Steps(progress, merkle.hashes_needed(count) + count)
    commitments = _check_list(checks, folder, announcement, steps.part())
    if not announcement.is_drawn:  # every entry wins: nothing but the list was published
        return Verification(checks.done(), announcement, digest)
    beacon = checks.run("beacon", lambda: _published_beacon(folder, announcement), _beacon_detail)
    if commitments is None or beacon is None:
        checks.skip(("tickets", "winners"), f"no {'entries' if commitments is None else 'beacon'} to compute them from")
        return Verification(checks.done(), announcement, digest, beacon)
    tickets = draw_rule.tickets(beacon.value, announcement.root, commitments, progress=steps.part())
    checks.run("tickets", lambda: _check_tickets(folder, tickets), str)
    expected = winners_csv(_select(announcement, beacon, tickets, None), commitments)
    checks.run("winners", lambda: _check_winners(folder, expected, announcement.winners), str)
    if (folder / draw_files.SUCCESSIONS).exists():
        checks.run("successions", lambda: _check_successions(folder, announcement, tickets, commitments), str)
    return Verification(checks.done(), announcement, digest, beacon)


@dataclass(frozen=True, slots=True)
class EntryCheck:
    """The entry of one registrant in the published files. Values that the files do not have are None."""

    checks: tuple[Check, ...]
    commitment: bytes
    index: int | None = None
    stratum: str | None = None
    proof: merkle.Proof = ()
    ticket: bytes | None = None
    rank: int | None = None  # from 1 among all tickets of the stratum
    won: bool | None = None  # whether the entry has a packet after all successions, by its rank or as a successor

    @property
    def ok(self) -> bool:
        """Whether no check failed. Before the draw some checks are open."""
        return all(check.passed is not False for check in self.checks)

    def require(self) -> None:
        """Raise IntegrityError with each failed check, if there is one."""
        _require(self.checks, "the published files contradict this entry")


def check_entry(folder: Path, document: int, phone: int, salt: bytes) -> EntryCheck:
    """Check one entry: whether it is in the list, whether the list leads to the announced root, and whether it won.

    Keys and salt are those of the receipt; nothing is sent anywhere. Raises UsageError for impossible keys or a missing
    file, IntegrityError for a file of a wrong form, UnavailableError for a file that the system refuses to read.
    """
    if len(salt) != draw_rule.SALT_BYTES or not 0 <= document < 1 << 64 or not 0 <= phone <= draw_rule.PHONE_MAX:
        raise UsageError(
            f"document {document}, phone {phone} and a salt of {len(salt)} bytes are no entry",
            hint="copy document, phone and the salt of 64 hexadecimal digits from the receipt",
        )
    announcement = draw_files.read_announcement(folder)
    commitments = draw_files.read_digests(folder / draw_files.ENTRIES, announcement.entries)
    own = hashlib.sha256(draw_rule.ENTRY_TAG + salt + draw_rule.identity_text(document, phone)).digest()
    checks = _Checks()
    matches = np.flatnonzero((draw_rule.words(commitments) == np.frombuffer(own, dtype=">u8")).all(axis=1))
    if not len(matches):
        checks.add(
            "in the list", False, f"{own.hex()} is not in {draw_files.ENTRIES}; compare the digits of the receipt first"
        )
        checks.skip(("proof", "ticket", "winners"), "there is no entry to check")
        return EntryCheck(checks.done(), own)
    index = int(matches[0])
    checks.add("in the list", True, f"entry {index} of {announcement.entries}, counted from 0")
    stratum, span = next(each for each in announcement.spans() if each[1].start <= index < each[1].stop)
    proof = merkle.proof(merkle.levels(commitments), index)
    root = merkle.proven_root(own, proof)
    checks.add("proof", root == announcement.root, f"{len(proof)} hashes lead to {root.hex()}")
    if not announcement.is_drawn:
        checks.add("winners", True, f"every entry gets a packet; this one is in {stratum.name}")
        return EntryCheck(checks.done(), own, index, stratum.name, proof, won=True)
    if not (folder / draw_files.BEACON).exists():
        checks.skip(("ticket", "winners"), f"not drawn yet: due {draw_files.moment_text(announcement.beacon_due_ns)}")
        return EntryCheck(checks.done(), own, index, stratum.name, proof)

    beacon = _published_beacon(folder, announcement)
    # The rank needs every ticket, and the published tickets of others may be wrong.
    tickets = draw_rule.tickets(beacon.value, announcement.root, commitments)
    ticket = tickets[index].tobytes()
    listed = draw_files.read_digests(folder / draw_files.TICKETS, announcement.entries)[index].tobytes()
    comparison = "as listed" if listed == ticket else f"but {draw_files.TICKETS} has {listed.hex()} at {index}"
    checks.add("ticket", listed == ticket, f"{ticket.hex()}, {comparison}")
    rank = draw_rule.rank(tickets[span], index - span.start)
    won = rank <= stratum.winners
    lines = draw_files.read_winner_lines(folder, announcement)
    own_lines = [line for line in lines if own.hex() in line]
    right = [f"{rank},{stratum.name},{index},{own.hex()},{ticket.hex()}"] if won else []
    checks.add(
        "winners",
        own_lines == right,
        f"rank {rank} of {stratum.entries} with {stratum.winners} winners: {'won' if won else 'not won'}; "
        f"{draw_files.WINNERS} {'has it' if own_lines else 'does not have it'}"
        + ("" if own_lines == right else " in this form"),
    )
    published = draw_files.read_successions(folder, announcement)
    if published is not None:
        try:
            passed_on = successions.check(announcement, tickets, commitments, published)
        except IntegrityError as error:
            checks.add("successions", False, error.message)
        else:
            won, detail = successions.result_of(passed_on, index, won)
            checks.add("successions", True, detail)
    return EntryCheck(checks.done(), own, index, stratum.name, proof, ticket, rank, won)


# --- salts and beacons --------------------------------------------------------------------------------------------


def fresh_salts(count: int) -> Bytes:
    """Return `count` salts of 256 bits from the generator of the operating system: uint8 [count, 32]."""
    return np.frombuffer(secrets.token_bytes(count * draw_rule.SALT_BYTES), dtype=np.uint8).reshape(count, -1)


def replay_salts(seed: int, count: int) -> Bytes:
    """Return the public salts of a replay: SHA-256(tag ‖ seed ‖ row), both numbers as 8 bytes, big-endian."""
    rows = np.arange(count, dtype=">u8").view(np.uint8).reshape(count, 8)
    return sha256.digests((_REPLAY_SALT_TAG, seed.to_bytes(8, "big"), rows))


def replay_beacon(seed: int, announcement: Announcement) -> Beacon:
    """Return the synthetic beacon of a replay: SHA-256(tag ‖ seed ‖ round), both numbers as 8 bytes, big-endian."""
    content = _REPLAY_BEACON_TAG + seed.to_bytes(8, "big") + announcement.beacon_round.to_bytes(8, "big")
    value = hashlib.sha256(content).digest()
    return Beacon(announcement.beacon_source, announcement.beacon_round, value, synthetic=True)


# --- helpers ------------------------------------------------------------------------------------------------------


class _Steps:
    """One progress over several calls that each count from zero."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._total = total
        self._before = 0

    def part(self) -> Progress | None:
        """Return the progress of the next call. A call may count several times from zero to a total."""
        if self._progress is None:
            return None
        progress = self._progress

        def report(done: int, total: int) -> None:
            progress(min(self._before + done, self._total), self._total)
            if done == total:
                self._before += total

        return report


class _Checks:
    def __init__(self) -> None:
        self._checks: list[Check] = []

    def add(self, name: str, passed: bool, detail: str) -> None:
        self._checks.append(Check(name, bool(passed), printable(detail)))

    def skip(self, names: tuple[str, ...], detail: str) -> None:
        self._checks.extend(Check(name, None, detail) for name in names)

    def run(self, name: str, check: Callable[[], _T], detail: Callable[[_T], str]) -> _T | None:
        """Return the result of `check`; None if it raised IntegrityError, whose message becomes the detail."""
        try:
            result = check()
        except IntegrityError as error:
            self.add(name, False, error.message)
            return None
        self.add(name, True, detail(result))
        return result

    def done(self) -> tuple[Check, ...]:
        return tuple(self._checks)


def _require(checks: tuple[Check, ...], problem: str) -> None:
    failed = [check for check in checks if check.passed is False]
    if failed:
        message = problem + "".join(f"\n  {check.name}: {check.detail}" for check in failed)
        raise IntegrityError(message, hint="compare with a copy of the folder from another place")


def _entries_per_stratum(rule: DrawRule, entries: Entries) -> list[int]:
    if len(entries) > draw_files.ENTRIES_MAX:
        raise UsageError(
            f"{len(entries)} entries, more than {draw_files.ENTRIES_MAX}", hint="hold a draw for each part of the list"
        )
    for stratum in rule.strata:
        draw_files.check_stratum_name(stratum.name)
    if entries.strata is None:
        if len(rule.strata) != 1:
            raise UsageError(
                f"the draw has {len(rule.strata)} strata, but the entries name none",
                hint="give `strata`: for each entry the index of its stratum in the rule",
            )
        counts = [len(entries)]
    else:
        counts = np.bincount(entries.strata, minlength=len(rule.strata)).tolist()
        if len(entries.strata) != len(entries) or len(counts) > len(rule.strata):
            raise UsageError(
                f"{len(entries.strata)} strata up to number {len(counts) - 1} for {len(entries)} entries, "
                f"but the draw has {len(rule.strata)}",
                hint="give every entry one stratum of the rule, counted from 0",
            )
    for stratum, count in zip(rule.strata, counts, strict=True):
        if count == 0:
            raise UsageError(f"stratum {stratum.name} has no entries", hint="leave it out, or add entries")
    return counts


def _select(announcement: Announcement, beacon: Beacon, tickets: Bytes, order: NDArray[np.int64] | None) -> Winners:
    index, rank, strata = [], [], []
    for number, (stratum, span) in enumerate(announcement.spans()):
        index.append(draw_rule.smallest(tickets[span], stratum.winners) + span.start)
        rank.append(np.arange(1, stratum.winners + 1, dtype=np.int64))
        strata.append(np.full(stratum.winners, number, dtype=np.uint8))
    positions = np.concatenate(index)
    return Winners(
        announcement=announcement,
        beacon=beacon,
        tickets=tickets,
        index=positions,
        rank=np.concatenate(rank),
        stratum=np.concatenate(strata),
        entries=None if order is None else order[positions],
    )


def _beacon_difference(announcement: Announcement, beacon: Beacon) -> str | None:
    for field, given, announced in (
        ("source", beacon.source, announcement.beacon_source),
        ("round", beacon.round, announcement.beacon_round),
        ("synthetic", beacon.synthetic, announcement.synthetic),
    ):
        if given != announced:
            return printable(f"{field} is {given}, but {announced} was announced")
    return None


def _published_beacon(folder: Path, announcement: Announcement) -> Beacon:
    beacon = draw_files.read_beacon(folder / draw_files.BEACON)
    difference = _beacon_difference(announcement, beacon)
    require(difference is None, f"{draw_files.BEACON}: {difference}")
    return beacon


def _announcement_detail(announcement: Announcement) -> str:
    return (
        f"{announcement.programme}: {announcement.winners} of {announcement.entries} win, "
        f"frozen {draw_files.moment_text(announcement.frozen_at_ns)}"
    )


def _beacon_detail(beacon: Beacon) -> str:
    synthetic = "; SYNTHETIC: a replay, no proof of chance" if beacon.synthetic else ""
    return f"{beacon.source}, round {beacon.round}, as announced{synthetic}"


def _check_order(announcement: Announcement, commitments: Bytes) -> str:
    for stratum, span in announcement.spans():
        falls = np.flatnonzero(~draw_rule.is_increasing(commitments[span]))
        if len(falls):
            index = span.start + int(falls[0]) + 1
            raise IntegrityError(
                f"{draw_files.ENTRIES}: entry {index} ({stratum.name}) is not greater than the previous one"
            )
    if len(announcement.strata) > 1:
        repeated = draw_rule.first_repeated(commitments, draw_rule.digest_order(commitments))
        require(repeated is None, f"{draw_files.ENTRIES}: entries {repeated} in two strata are the same commitment")
    return "commitments increase in each stratum, and all differ"


def _check_tickets(folder: Path, expected: Bytes) -> str:
    listed = draw_files.read_digests(folder / draw_files.TICKETS, len(expected))
    wrong = np.flatnonzero((draw_rule.words(listed) != draw_rule.words(expected)).any(axis=1))
    if len(wrong):
        index = int(wrong[0])
        raise IntegrityError(
            f"{draw_files.TICKETS}: {len(wrong)} tickets are wrong, the first at {index}: "
            f"{listed[index].tobytes().hex()}, computed {expected[index].tobytes().hex()}"
        )
    return f"{len(expected)} tickets, each as computed"


def _check_winners(folder: Path, expected: bytes, count: int) -> str:
    listed = draw_files.read(folder / draw_files.WINNERS, 2 * len(expected) + 4_096, f"{len(expected)} were computed")
    if listed != expected:
        listed_lines, expected_lines = listed.split(b"\n"), expected.split(b"\n")
        pairs = zip(listed_lines, expected_lines, strict=False)
        shorter = min(len(listed_lines), len(expected_lines))
        line = next((place for place, (one, other) in enumerate(pairs) if one != other), shorter)
        found = listed_lines[line].decode("utf-8", "replace") if line < len(listed_lines) else ""
        right = expected_lines[line].decode() if line < len(expected_lines) else ""
        raise IntegrityError(
            f"{draw_files.WINNERS}: {max(len(listed_lines) - 2, 0)} winners, computed {count}; "
            f'line {line + 1} is "{found}", computed "{right}"'
        )
    return f"{count} winners, each as computed"


def _check_successions(folder: Path, announcement: Announcement, tickets: Bytes, commitments: Bytes) -> str:
    published = draw_files.read_successions(folder, announcement)
    assert published is not None, "the file is there"
    passed_on = successions.check(announcement, tickets, commitments, published)
    return f"{len(passed_on)} packets passed on, each to the next ticket"
