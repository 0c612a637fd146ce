"""The file of a closed day's pack: one signed JSON object that names the pack before it (docs/reference/day.md).

A pack is read and checked on a machine that has neither the database nor the bank's keys.
"""

from __future__ import annotations

import itertools
import json
import re
import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final, Self

from blake3 import blake3

from sycee.core import canonical_json, ids, json_documents
from sycee.core.errors import IntegrityError, UsageError
from sycee.core.input_files import read_bytes
from sycee.core.keys import SIGNATURE_BYTES, PublicKey

FORMAT: Final = "sycee.day-pack.v1"
FILE_BYTES_MAX: Final = 16 << 20  # some 50,000 breaks
CLOSER: Final = "closer"
COUNTERSIGNER: Final = "countersigner"
DUTIES: Final = (CLOSER, COUNTERSIGNER)

_TITLE: Final = struct.Struct("<32s16s16s32s")  # format, duty, person, digest
_HEX64: Final = re.compile(r"[0-9a-f]{64}")
_NUMBER: Final = re.compile(r"-?[0-9]{1,20}")

# Every field of a pack. Numbers of 64 bits are texts, since some JSON parsers have 53 bits of precision.
FIELDS: Final[Mapping[str, type]] = {
    "access_log": dict,
    "breaks": list,
    "calendar": str,
    "checkpoint": dict,
    "closed_by": str,
    "closed_ns": str,
    "currency": str,
    "currency_number": int,
    "cutoff_frame": str,
    "cutoff_ns": str,
    "day": str,
    "format": str,
    "ledger": str,
    "number": int,
    "opened_after_frame": str,
    "operations": dict,
    "positions": dict,
    "previous": str,
    "quotas": dict,
    "rehearsal": bool,
    "reserve_suspense": str,
    "reserves": dict,
    "signatures": list,
    "statements": list,
    "supply": str,
    "transits_open": dict,
    "zone": str,
}
_NUMBERS: Final = ("closed_ns", "cutoff_frame", "cutoff_ns", "opened_after_frame", "reserve_suspense", "supply")
_SIGNATURE: Final = frozenset({"duty", "person", "public_key", "signature"})


@dataclass(frozen=True, slots=True)
class PackSignature:
    """Signature of one person in one duty."""

    duty: str
    person: int
    public_key: PublicKey
    signature: bytes

    def document(self) -> dict[str, str]:
        """Return the JSON object."""
        return {
            "duty": self.duty,
            "person": ids.format(self.person),
            "public_key": str(self.public_key),
            "signature": self.signature.hex(),
        }


@dataclass(frozen=True)
class DayPack:
    """A pack. `body`: all fields but the signatures."""

    body: Mapping[str, Any]
    signatures: tuple[PackSignature, ...] = ()

    @property
    def digest(self) -> bytes:
        """Return BLAKE3-256 of the canonical JSON of all fields but the signatures."""
        return canonical_json.digest(dict(self.body))

    @property
    def day(self) -> date:
        """Return the business day."""
        return date.fromisoformat(self.body["day"])

    @property
    def number(self) -> int:
        """Return the number of the pack in its chain, from 1."""
        return int(self.body["number"])

    @property
    def frame(self) -> int:
        """Return the last frame of the day."""
        return int(self.body["cutoff_frame"])

    @property
    def after(self) -> int:
        """Return the last frame of the day before."""
        return int(self.body["opened_after_frame"])

    def of(self, duty: str) -> PackSignature | None:
        """Return the signature of a duty, if the pack has it."""
        return next((each for each in self.signatures if each.duty == duty), None)

    def text(self) -> str:
        """Return the file's content: one JSON object, sorted keys, ASCII."""
        document = {**self.body, "signatures": [each.document() for each in self.signatures]}
        return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=True) + "\n"

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a pack. Raises as `input_files.read_bytes` and `parse` do."""
        return cls.parse(read_bytes(path, FILE_BYTES_MAX, "pack of a day"), str(path))

    @classmethod
    def parse(cls, content: str | bytes, file: str) -> Self:
        """Parse the content of a file. Raises UsageError that names `file` and the invalid field."""
        document = json_documents.parse(content, file)
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise invalid(file, f"its format is not {FORMAT}")
        if wrong := document.keys() ^ FIELDS.keys():
            raise invalid(file, f"{', '.join(sorted(wrong))} is missing or unknown")
        for name, expected in FIELDS.items():
            if type(document[name]) is not expected:
                raise invalid(file, f"{name} is of another type")
        for name in _NUMBERS:
            if not _NUMBER.fullmatch(document[name]):
                raise invalid(file, f"{name} is no whole number in quotes")
        if document["previous"] and not _HEX64.fullmatch(document["previous"]):
            raise invalid(file, "previous is not 64 hexadecimal digits")
        signatures = tuple(_signature(each, file) for each in document.pop("signatures"))
        made = cls(document, signatures)
        try:
            canonical_json.canonical(document)
            made.day  # noqa: B018 - a date that cannot be read is an error of the file
        except (ValueError, UsageError) as error:
            raise invalid(file, str(error)) from error
        return made


def message(digest: bytes, duty: str, person: int) -> bytes:
    """Return the 32 signed bytes.

    BLAKE3-256 of: 32 bytes `sycee.day-pack.v1` zero-padded ‖ 16 bytes duty zero-padded ‖ person (16 bytes,
    little-endian) ‖ digest of the pack.
    """
    return blake3(_TITLE.pack(FORMAT.encode(), duty.encode(), person.to_bytes(16, "little"), digest)).digest()


def check_signatures(pack: DayPack, *, complete: bool) -> None:
    """Raise IntegrityError unless the closer's signature is valid, and the countersigner's if there is one.

    `complete`: both are required. The two are different persons with different keys.
    """
    day = pack.body["day"]
    for duty in DUTIES:
        found = [each for each in pack.signatures if each.duty == duty]
        if len(found) > 1:
            raise _untrue(day, f"it has {len(found)} signatures of a {duty}")
        if not found and (complete or duty == CLOSER):
            raise _untrue(day, f"the {duty} has not signed it")
        for each in found:
            if not each.public_key.verifies(each.signature, message(pack.digest, duty, each.person)):
                raise _untrue(day, f"the {duty}'s signature does not belong to its content")
    closer, other = pack.of(CLOSER), pack.of(COUNTERSIGNER)
    assert closer is not None
    if ids.format(closer.person) != pack.body["closed_by"]:
        raise _untrue(day, "another person signed it than the one who closed the day")
    if other is not None and (other.person == closer.person or other.public_key == closer.public_key):
        raise _untrue(day, "one person signed it twice: the countersigner must be another person with another key")


def check_chain(packs: Sequence[DayPack]) -> None:
    """Raise IntegrityError unless the packs, in this order, follow one another without a gap."""
    for before, pack in itertools.pairwise(packs):
        day = pack.body["day"]
        for name in ("ledger", "currency", "zone", "rehearsal"):
            if pack.body[name] != before.body[name]:
                raise _untrue(day, f"its {name} is {pack.body[name]}, that of {before.body['day']} is another")
        if pack.number != before.number + 1:
            raise _untrue(
                day,
                f"it is pack {pack.number}, and the one before it is pack {before.number}: "
                + ("a pack is missing" if pack.number > before.number + 1 else "a pack is there twice"),
            )
        if pack.body["previous"] != before.digest.hex():
            raise _untrue(
                day,
                f"it names {pack.body['previous'] or 'no pack'} as the pack before it, and the pack of "
                f"{before.body['day']} is {before.digest.hex()}",
            )
        if pack.after != before.frame:
            raise _untrue(day, f"it begins after frame {pack.after}, and the day before ends with {before.frame}")
    if packs and packs[0].number == 1 and packs[0].body["previous"]:
        raise _untrue(packs[0].body["day"], "it is the first pack and names a pack before it")


def check_keys(pack: DayPack, keys: Collection[PublicKey]) -> None:
    """Raise IntegrityError unless every signature was made with one of these keys."""
    for each in pack.signatures:
        if each.public_key not in keys:
            raise IntegrityError(
                f"the {each.duty} of {pack.body['day']}, {ids.format(each.person)}, signed with {each.public_key}, "
                "which is none of the given keys",
                hint="ask the bank for the keys of its staff, over another channel",
            )


def _signature(document: Any, file: str) -> PackSignature:
    if not isinstance(document, dict) or document.keys() != _SIGNATURE:
        raise invalid(file, f"a signature has other fields than {', '.join(sorted(_SIGNATURE))}")
    if document["duty"] not in DUTIES:
        raise invalid(file, f"a signature has another duty than {' or '.join(DUTIES)}")
    text = document["signature"]
    if not isinstance(text, str) or not re.fullmatch(f"[0-9a-f]{{{2 * SIGNATURE_BYTES}}}", text):
        raise invalid(file, f"a signature is not {2 * SIGNATURE_BYTES} hexadecimal digits")
    try:
        person, key = ids.parse(str(document["person"])), PublicKey.parse(str(document["public_key"]))
    except UsageError as error:
        raise invalid(file, f"a signature: {error.message}") from error
    return PackSignature(document["duty"], person, key, bytes.fromhex(text))


def invalid(file: str, problem: str) -> UsageError:
    """Return the error for a file that is no pack."""
    return UsageError(f"{file} is no pack of a day: {problem}", hint="copy the file from the bank again")


def _untrue(day: str, problem: str) -> IntegrityError:
    return IntegrityError(f"the pack of {day} is not right: {problem}", hint="compare it with the signer's copy")
