"""The files that a draw publishes, byte for byte as docs/reference/draw.md specifies them.

    announcement.json   before the beacon: programme, rule, n, k, strata, root, source and future round of the beacon
    entries.bin         before the beacon: the frozen list, 32-byte commitments
    beacon.json         after it: the value of the beacon
    tickets.bin         one 32-byte ticket per entry, in list order
    winners.csv         rank, stratum, index, commitment, ticket
    successions.csv     packets that passed from a removed winner to the next ticket, where there are any

Readers check the form of one file. They raise IntegrityError, with file and place, for content that breaks a rule;
UsageError for a missing file; UnavailableError for a file that the system refuses to read. `draw.verify` compares the
files with each other.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np

from sycee.core import json_documents
from sycee.core.arrays import Bytes
from sycee.core.errors import IntegrityError, UsageError, require
from sycee.core.input_files import read_bytes
from sycee.core.limits import I64_MAX
from sycee.core.output_files import write_file
from sycee.core.sha256 import DIGEST_BYTES
from sycee.programmes.definition import ALL_RULE, DRAW_RULE, REPLAY_BEACON, STRATA_MAX

ANNOUNCEMENT: Final = "announcement.json"
ENTRIES: Final = "entries.bin"
BEACON: Final = "beacon.json"
TICKETS: Final = "tickets.bin"
WINNERS: Final = "winners.csv"
WINNERS_HEADER: Final = "rank,stratum,index,commitment,ticket\n"
SUCCESSIONS: Final = "successions.csv"
SUCCESSIONS_HEADER: Final = "stratum,rank,commitment,reason,successor_rank,successor_commitment\n"
BEACON_BYTES: Final = 32
ENTRIES_MAX: Final = 1 << 27  # 4 GiB of commitments
JSON_BYTES_MAX: Final = 1 << 20

# Where anyone can look up a round of a source. The answer of drand has the value as "randomness".
BEACON_ADDRESSES: Final = {
    "drand quicknet": "https://api.drand.sh/52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971/public/",
    "drand default": "https://api.drand.sh/8990e7a9aaed2ffed73dbd7092123d6f289930540d7651336225dc172e51b2ce/public/",
}

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_STRATUM: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?Z", re.ASCII
)


@dataclass(frozen=True, slots=True)
class StratumAnnounced:
    """A part of the list: its number of entries (≥ 1) and of winners (≤ entries)."""

    name: str
    entries: int
    winners: int


@dataclass(frozen=True, slots=True)
class Announcement:
    """Everything fixed before the beacon. `synthetic` is True for a replay, whose beacon is computed from a seed.

    Under ALL_RULE there is no beacon: its source is "", its numbers are 0.
    """

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
    def is_drawn(self) -> bool:
        """Whether a beacon decides who gets a packet; otherwise every entry does."""
        return self.rule == DRAW_RULE

    @property
    def entries(self) -> int:
        """Number of entries in the list, n."""
        return sum(stratum.entries for stratum in self.strata)

    @property
    def winners(self) -> int:
        """Number of winners in all strata, k."""
        return sum(stratum.winners for stratum in self.strata)

    def spans(self) -> list[tuple[StratumAnnounced, slice]]:
        """Return each stratum with its part of the list."""
        spans, start = [], 0
        for stratum in self.strata:
            spans.append((stratum, slice(start, start + stratum.entries)))
            start += stratum.entries
        return spans

    def content(self) -> bytes:
        """Return the bytes of announcement.json."""
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
                }
                if self.is_drawn
                else None,
                "frozen_at": moment_text(self.frozen_at_ns),
                "synthetic": self.synthetic,
            }
        )

    def digest(self) -> bytes:
        """Return the SHA-256 of announcement.json, for a newspaper or a notary."""
        return hashlib.sha256(self.content()).digest()


@dataclass(frozen=True, slots=True)
class Beacon:
    """A round of a public source of randomness: 32 bytes that are unknown until the round is due."""

    source: str
    round: int
    value: bytes
    synthetic: bool = False

    @property
    def address(self) -> str:
        """Place to compare the value at: a web address, or an instruction."""
        if self.source == REPLAY_BEACON:
            return "nowhere: the value is computed from the seed of a replay and proves nothing about chance"
        if self.source in BEACON_ADDRESSES:
            return f"{BEACON_ADDRESSES[self.source]}{self.round}"
        return f"round {self.round} as published by the source itself"

    def content(self) -> bytes:
        """Return the bytes of beacon.json."""
        return _json(
            {"source": self.source, "round": self.round, "value": self.value.hex(), "synthetic": self.synthetic}
        )


def read_announcement(folder: Path) -> Announcement:
    """Read announcement.json and check its form and its sums."""
    fields = _read_json(folder / ANNOUNCEMENT)
    rule = fields.text("rule")
    beacon = None if rule == ALL_RULE else fields.object("beacon")
    announcement = Announcement(
        programme=fields.text("programme"),
        rule=rule,
        strata=tuple(
            StratumAnnounced(each.text("name", _STRATUM), each.count("entries", least=1), each.count("winners"))
            for each in fields.objects("strata")
        ),
        root=bytes.fromhex(fields.text("root", _HEX)),
        beacon_source="" if beacon is None else beacon.text("source"),
        beacon_round=0 if beacon is None else beacon.count("round"),
        beacon_due_ns=0 if beacon is None else beacon.moment("due"),
        frozen_at_ns=fields.moment("frozen_at"),
        synthetic=fields.boolean("synthetic"),
    )
    where = fields.file
    require(rule in (DRAW_RULE, ALL_RULE), f"{where}: rule {json.dumps(announcement.rule)} is not supported")
    names = [stratum.name for stratum in announcement.strata]
    require(len(set(names)) == len(names), f"{where}: two strata have the same name")
    require(len(names) <= STRATA_MAX, f"{where}: {len(names)} strata, more than {STRATA_MAX}")
    for key, sum_of_strata in (("entries", announcement.entries), ("winners", announcement.winners)):
        total = fields.count(key)
        require(total == sum_of_strata, f"{where}: {key} is {total}, but the strata sum to {sum_of_strata}")
    require(announcement.entries <= ENTRIES_MAX, f"{where}: {announcement.entries} entries, more than {ENTRIES_MAX}")
    for stratum in announcement.strata:
        require(
            stratum.winners <= stratum.entries,
            f"{where}: stratum {stratum.name} has {stratum.winners} winners among {stratum.entries} entries",
        )
    if beacon is None:
        require(fields.members.get("beacon", 0) is None, f"{where}: beacon is not null, but the rule is {ALL_RULE}")
        require(announcement.winners == announcement.entries, f"{where}: under {ALL_RULE} every entry wins")
        return announcement
    require(
        announcement.frozen_at_ns < announcement.beacon_due_ns,
        f"{where}: frozen at {moment_text(announcement.frozen_at_ns)}, "
        f"not before the beacon is due, {moment_text(announcement.beacon_due_ns)}",
    )
    return announcement


def read_beacon(path: Path) -> Beacon:
    """Read a beacon file."""
    fields = _read_json(path)
    value = bytes.fromhex(fields.text("value", _HEX))
    synthetic = fields.boolean("synthetic", False)
    return Beacon(fields.text("source"), fields.count("round"), value, synthetic)


def read_digests(path: Path, count: int) -> Bytes:
    """Read `count` digests: a read-only array, uint8 [count, 32]."""
    size = count * DIGEST_BYTES
    content = read(path, size, f"{count} entries take {size}")
    require(len(content) == size, f"{path.name}: {len(content)} bytes, but {count} entries take {size}")
    return np.frombuffer(content, dtype=np.uint8).reshape(count, DIGEST_BYTES)


def read_winners(folder: Path, announcement: Announcement) -> Bytes:
    """Read the commitments of the winners in the order of winners.csv: uint8 [k, 32]."""
    lines = read_winner_lines(folder, announcement)[1:]
    try:
        return np.frombuffer(bytes.fromhex("".join(line.split(",")[3] for line in lines)), np.uint8).reshape(-1, 32)
    except (IndexError, ValueError) as error:
        raise IntegrityError(f"{WINNERS}: a line has no commitment of 64 hexadecimal digits") from error


def read_winner_lines(folder: Path, announcement: Announcement) -> list[str]:
    """Read the lines of winners.csv, the header first. The announcement limits the size of the file."""
    line_max = 256 + max(len(stratum.name) for stratum in announcement.strata)
    rule = f"{announcement.winners} winners take less"
    return read(folder / WINNERS, line_max * (announcement.winners + 2), rule).decode("ascii", "replace").splitlines()


def read_successions(folder: Path, announcement: Announcement) -> bytes | None:
    """Return the content of successions.csv, None without one. Each entry is removed at most once."""
    path = folder / SUCCESSIONS
    if not path.exists():
        return None
    line_max = 256 + max(len(stratum.name) for stratum in announcement.strata)
    return read(path, line_max * (announcement.entries + 2), f"{announcement.entries} entries take less")


def read(path: Path, bytes_max: int, rule: str) -> bytes:
    """Return the content of a published file. IntegrityError, which quotes `rule`, if it has > `bytes_max` bytes."""
    try:
        size = path.stat().st_size
    except OSError:
        size = 0  # `read_bytes` raises the right error
    require(size <= bytes_max, f"{path.name}: {size} bytes, but {rule}")
    return read_bytes(path, bytes_max, "published file")


def read_json_bytes(path: Path) -> bytes:
    """Return the content of a JSON file of at most JSON_BYTES_MAX bytes."""
    return read(path, JSON_BYTES_MAX, f"at most {JSON_BYTES_MAX} are read")


def publish_once(path: Path, content: bytes) -> None:
    """Write a file that must never change. UsageError if it exists with other content."""
    if path.exists():
        if path.read_bytes() != content:
            raise UsageError(
                f"{path} is published already, with other content",
                hint="a published file is never replaced; use another folder for another draw",
            )
        return
    write_file(path, content)


def check_stratum_name(name: str) -> None:
    """Raise UsageError for a name that winners.csv cannot hold."""
    if not _STRATUM.fullmatch(name):
        raise UsageError(f'"{name}" is not a name for a stratum', hint="small letters, digits and single hyphens")


def moment_text(moment_ns: int) -> str:
    """Return a moment as the files have it: UTC, with six decimals where it is not a whole second."""
    moment = _EPOCH + timedelta(microseconds=moment_ns // 1_000)
    return moment.replace(tzinfo=None).isoformat() + "Z"


def _json(fields: dict[str, Any]) -> bytes:
    return (json.dumps(fields, indent=2, ensure_ascii=False) + "\n").encode()


@dataclass(frozen=True, slots=True)
class _Fields:
    """Typed access to the members of a JSON object. Members that nobody reads have no meaning and are allowed."""

    file: str
    members: dict[str, Any]

    def text(self, key: str, pattern: re.Pattern[str] | None = None) -> str:
        value = self._member(key)
        if not isinstance(value, str) or (pattern is not None and not pattern.fullmatch(value)):
            raise IntegrityError(f"{self.file}: {key} is {json.dumps(value)}, which does not have the required form")
        return value

    def count(self, key: str, *, least: int = 0) -> int:
        value = self._member(key)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= I64_MAX:
            raise IntegrityError(
                f"{self.file}: {key} is {json.dumps(value)}, not a whole number from {least} to {I64_MAX}"
            )
        return value

    def boolean(self, key: str, default: bool | None = None) -> bool:
        value = self.members.get(key, default) if default is not None else self._member(key)
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
        value = self._member(key)
        if not isinstance(value, dict):
            raise IntegrityError(f"{self.file}: {key} is not an object")
        return _Fields(f"{self.file}: {key}", value)

    def objects(self, key: str) -> list[_Fields]:
        value = self._member(key)
        if not isinstance(value, list) or not value or not all(isinstance(each, dict) for each in value):
            raise IntegrityError(f"{self.file}: {key} is not a list of objects")
        return [_Fields(f"{self.file}: {key}[{place}]", each) for place, each in enumerate(value)]

    def _member(self, key: str) -> Any:
        if key not in self.members:
            raise IntegrityError(f"{self.file}: {key} is missing")
        return self.members[key]


def _read_json(path: Path) -> _Fields:
    content = read_json_bytes(path)
    require(not content.startswith(codecs.BOM_UTF8), f"{path.name}: begins with a byte order mark")
    try:
        members = json_documents.parse(content, path.name)
    except UsageError as error:  # the file is no input of the user, but evidence
        raise IntegrityError(error.message) from error
    require(isinstance(members, dict), f"{path.name}: not a JSON object")
    return _Fields(path.name, members)
