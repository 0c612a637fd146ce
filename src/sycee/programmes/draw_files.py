"""The files that a draw publishes, byte by byte as docs/reference/draw.md specifies them.

    announcement.json   before the beacon: programme, rule, n, k, strata, root, the beacon's source and future round
    entries.bin         before the beacon: the frozen list, 32-byte commitments
    beacon.json         the beacon's value
    tickets.bin         one 32-byte ticket for each entry, in list order
    winners.csv         rank, stratum, index, commitment, ticket

Reading checks form only and raises IntegrityError with file and place; `draw.verify` checks what the files say.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np

from sycee.core.errors import IntegrityError, UsageError, require
from sycee.core.output_files import write_file
from sycee.programmes.definition import DRAW_RULES
from sycee.programmes.sha256 import DIGEST_BYTES, Bytes

ANNOUNCEMENT: Final = "announcement.json"
ENTRIES: Final = "entries.bin"
BEACON: Final = "beacon.json"
TICKETS: Final = "tickets.bin"
WINNERS: Final = "winners.csv"
BEACON_BYTES: Final = 32
STRATA_MAX: Final = 256  # a stratum is one byte in memory

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_STRATUM: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")


@dataclass(frozen=True, slots=True)
class StratumAnnounced:
    """A part of the list: how many entries it has and how many of them win. Never more winners than entries."""

    name: str
    entries: int
    winners: int


@dataclass(frozen=True, slots=True)
class Announcement:
    """What is promised before the beacon is known. `synthetic` marks a replay, whose beacon comes from its seed."""

    programme: str
    rule: str
    strata: tuple[StratumAnnounced, ...]
    root: bytes
    beacon_source: str
    beacon_round: int
    beacon_due_ns: int
    frozen_at_ns: int
    synthetic: bool

    @property
    def entries(self) -> int:
        """n: all entries of the list."""
        return sum(stratum.entries for stratum in self.strata)

    @property
    def winners(self) -> int:
        """k: all winners."""
        return sum(stratum.winners for stratum in self.strata)

    def spans(self) -> list[tuple[StratumAnnounced, slice]]:
        """Each stratum with its part of the list."""
        spans, start = [], 0
        for stratum in self.strata:
            spans.append((stratum, slice(start, start + stratum.entries)))
            start += stratum.entries
        return spans

    def content(self) -> bytes:
        """The bytes of announcement.json."""
        return _json(
            {
                "programme": self.programme,
                "rule": self.rule,
                "entries": self.entries,
                "winners": self.winners,
                "strata": [{"name": s.name, "entries": s.entries, "winners": s.winners} for s in self.strata],
                "root": self.root.hex(),
                "beacon": {
                    "source": self.beacon_source,
                    "round": self.beacon_round,
                    "due": moment_text(self.beacon_due_ns),
                },
                "frozen_at": moment_text(self.frozen_at_ns),
                "synthetic": self.synthetic,
            }
        )

    def digest(self) -> bytes:
        """SHA-256 of announcement.json: what to print in a newspaper or hand to a notary."""
        return hashlib.sha256(self.content()).digest()


@dataclass(frozen=True, slots=True)
class Beacon:
    """A round of a public source of randomness: 32 bytes that nobody could know before it was due."""

    source: str
    round: int
    value: bytes
    synthetic: bool = False

    def content(self) -> bytes:
        """The bytes of beacon.json."""
        return _json(
            {"source": self.source, "round": self.round, "value": self.value.hex(), "synthetic": self.synthetic}
        )


def read_announcement(folder: Path) -> Announcement:
    """Read announcement.json. IntegrityError if it is missing, malformed or contradicts itself."""
    fields = _read_json(folder / ANNOUNCEMENT)
    beacon = fields.object("beacon")
    announcement = Announcement(
        programme=fields.text("programme"),
        rule=fields.text("rule"),
        strata=tuple(
            StratumAnnounced(each.text("name", _STRATUM), each.count("entries"), each.count("winners"))
            for each in fields.objects("strata")
        ),
        root=bytes.fromhex(fields.text("root", _HEX)),
        beacon_source=beacon.text("source"),
        beacon_round=beacon.count("round"),
        beacon_due_ns=beacon.moment("due"),
        frozen_at_ns=fields.moment("frozen_at"),
        synthetic=fields.boolean("synthetic"),
    )
    where = fields.file
    require(announcement.rule in DRAW_RULES, f'{where}: rule "{announcement.rule}" is not known here')
    names = [stratum.name for stratum in announcement.strata]
    require(len(set(names)) == len(names) <= STRATA_MAX, f"{where}: strata are named twice, or more than {STRATA_MAX}")
    for key, sum_of_strata in (("entries", announcement.entries), ("winners", announcement.winners)):
        total = fields.count(key)
        require(total == sum_of_strata, f"{where}: {key} is {total}, but the strata sum to {sum_of_strata}")
    require(announcement.entries > 0, f"{where}: a list without entries")
    for stratum in announcement.strata:
        require(
            stratum.winners <= stratum.entries,
            f"{where}: stratum {stratum.name} has {stratum.winners} winners among {stratum.entries} entries",
        )
    require(
        announcement.frozen_at_ns < announcement.beacon_due_ns,
        f"{where}: frozen at {moment_text(announcement.frozen_at_ns)}, "
        f"not before the beacon is due, {moment_text(announcement.beacon_due_ns)}",
    )
    return announcement


def read_beacon(path: Path) -> Beacon:
    """Read a beacon file. IntegrityError if it is missing or malformed."""
    fields = _read_json(path)
    value = bytes.fromhex(fields.text("value", _HEX))
    synthetic = fields.boolean("synthetic", False)
    return Beacon(fields.text("source"), fields.count("round"), value, synthetic)


def read_digests(path: Path, count: int) -> Bytes:
    """Read `count` digests: uint8 [count, 32], not to be written. IntegrityError if the file is not that long."""
    content = read(path)
    require(
        len(content) == count * DIGEST_BYTES,
        f"{path.name}: {len(content)} bytes, but {count} entries take {count * DIGEST_BYTES}"
        + (f"; entry {len(content) // DIGEST_BYTES} is where it ends" if len(content) < count * DIGEST_BYTES else ""),
    )
    return np.frombuffer(content, dtype=np.uint8).reshape(count, DIGEST_BYTES)


def read_winners(folder: Path) -> Bytes:
    """The winners' commitments in the order of winners.csv, uint8 [k, 32]. IntegrityError with file and line."""
    path = folder / WINNERS
    lines = read(path).decode("ascii", errors="replace").splitlines()[1:]
    try:
        return np.frombuffer(bytes.fromhex("".join(line.split(",")[3] for line in lines)), np.uint8).reshape(-1, 32)
    except (IndexError, ValueError) as error:
        raise IntegrityError(f"{WINNERS}: has a line without a commitment of 64 hexadecimal digits") from error


def read(path: Path) -> bytes:
    """The bytes of a published file. IntegrityError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise IntegrityError(
            f"{path.name}: cannot be read: {error.strerror or error}", hint=f"the draw's folder is {path.parent}"
        ) from error


def publish_once(path: Path, content: bytes) -> None:
    """Write a file that must never say something else later. UsageError if it already does; the same is welcome."""
    if path.exists():
        if path.read_bytes() != content:
            raise UsageError(
                f"{path} is published already and says something else",
                hint="a published promise is never replaced; use another folder for another draw",
            )
        return
    write_file(path, content)


def check_stratum_name(name: str) -> None:
    """UsageError for a name that would not stand in winners.csv as it is."""
    if not _STRATUM.fullmatch(name):
        raise UsageError(f'"{name}" is not a name for a stratum', hint="small letters, digits and single hyphens")


def moment_text(moment_ns: int) -> str:
    """A moment as the files write it: UTC, to the second, or to the microsecond where it has a fraction."""
    moment = _EPOCH + timedelta(microseconds=moment_ns // 1_000)
    return moment.replace(tzinfo=None).isoformat() + "Z"


def _json(fields: dict[str, Any]) -> bytes:
    return (json.dumps(fields, indent=2, ensure_ascii=False) + "\n").encode()


@dataclass(frozen=True, slots=True)
class _Fields:
    """A JSON object whose members are taken with their types. Unknown members are left alone: they bind nobody."""

    file: str
    members: dict[str, Any]

    def text(self, key: str, pattern: re.Pattern[str] | None = None) -> str:
        value = self._take(key)
        if not isinstance(value, str) or (pattern is not None and not pattern.fullmatch(value)):
            raise IntegrityError(f"{self.file}: {key} is {json.dumps(value)}, which is not of the form it must have")
        return value

    def count(self, key: str) -> int:
        value = self._take(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise IntegrityError(f"{self.file}: {key} is {json.dumps(value)}, not a whole number from 0 on")
        return value

    def boolean(self, key: str, default: bool | None = None) -> bool:
        value = self.members.get(key, default) if default is not None else self._take(key)
        if not isinstance(value, bool):
            raise IntegrityError(f"{self.file}: {key} is {json.dumps(value)}, neither true nor false")
        return value

    def moment(self, key: str) -> int:
        text = self.text(key, _MOMENT)
        try:
            return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1) * 1_000
        except ValueError as error:
            raise IntegrityError(f'{self.file}: {key} is "{text}": {error}') from error

    def object(self, key: str) -> _Fields:
        value = self._take(key)
        if not isinstance(value, dict):
            raise IntegrityError(f"{self.file}: {key} is not an object")
        return _Fields(f"{self.file}: {key}", value)

    def objects(self, key: str) -> list[_Fields]:
        value = self._take(key)
        if not isinstance(value, list) or not value or not all(isinstance(each, dict) for each in value):
            raise IntegrityError(f"{self.file}: {key} is not a list of objects")
        return [_Fields(f"{self.file}: {key}[{place}]", each) for place, each in enumerate(value)]

    def _take(self, key: str) -> Any:
        if key not in self.members:
            raise IntegrityError(f"{self.file}: {key} is missing")
        return self.members[key]


def _once(file: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The members of a JSON object. With a key twice, two readers could read two announcements in the same bytes."""
    members: dict[str, Any] = {}
    for key, value in pairs:
        require(key not in members, f"{file}: {json.dumps(key)} stands twice in one object")
        members[key] = value
    return members


def _read_json(path: Path) -> _Fields:
    try:
        members = json.loads(read(path).decode("utf-8"), object_pairs_hook=lambda pairs: _once(path.name, pairs))
    except ValueError as error:
        raise IntegrityError(f"{path.name}: not JSON in UTF-8: {error}") from error
    if not isinstance(members, dict):
        raise IntegrityError(f"{path.name}: not a JSON object")
    return _Fields(path.name, members)
