"""The founding of a bank: the records of the first frame, the first persons, and the files of the data folder.

Everything follows from the arguments of `sycee init` and one random seed; both are stored before anything else. So an
interrupted founding continues with the same ids. All records are one submission, because the ledger accepts unsigned
records only until two officers exist.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from sqlalchemy.engine import Connection

from sycee.bank.folder import DataFolder, create_once
from sycee.core import ids, money
from sycee.core.arrays import Array
from sycee.core.errors import IntegrityError, UnavailableError, UsageError
from sycee.core.input_files import read_bytes
from sycee.core.keys import PublicKey, SigningKey
from sycee.core.limits import I64_MAX
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind
from sycee.core.result_codes import Result
from sycee.core.secret_files import SecretKey
from sycee.database.actions import Intent
from sycee.database.numbers import Numbers
from sycee.identity import duties
from sycee.identity.duties import Duty
from sycee.identity.people import HeldDuty, People
from sycee.issuance.central_bank import MINTING_RULE_SET
from sycee.issuance.records import RESERVE_BOOK
from sycee.life.rules import RECOVERY_OWNER, recovery_records
from sycee.wallets import tiers
from sycee.wallets.tiers import Preset

ACTION: Final = "bank.found"
FORMAT: Final = "sycee.founding.v1"
FILE_BYTES_MAX: Final = 1 << 20
SEED_BYTES: Final = 32
DUTY_NS: Final = 5 * 365 * 86_400 * 10**9  # the first duties end after five years, if no other end is given
TECHNICAL: Final = 0  # operator of accounts in transit; its key is on this machine
DESK: Final = 1  # the reserve desk: operator of the issuer's own accounts; its key is elsewhere


@dataclass(frozen=True, slots=True)
class Founding:
    """The arguments of a founding.

    - `officers`: public keys of at least two persons; `desk`, `witness`: of one more person each.
    - `master_key`: file of the master key, created if absent. `key_backup`: folder, created if absent.
    - `until_ns`: the end of all these duties, 0 for five years. `rehearsal_from_ns`: first time of the bank's clock.
    - `settings`: further settings for `sycee.toml`.
    """

    currency: str
    zone: str
    preset: str
    officers: Sequence[PublicKey]
    desk: PublicKey
    witness: PublicKey
    master_key: Path
    key_backup: Path
    retention: str
    until_ns: int = 0
    rehearsal_from_ns: int | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Raise UsageError for keys that are not of different persons, and for fewer than two officers."""
        if len(self.officers) < 2:
            raise UsageError(
                f"{len(self.officers)} officer was named",
                hint="name two or more: two persons must sign what makes or destroys money",
            )
        keys = [*self.officers, self.desk, self.witness]
        if len(set(keys)) < len(keys):
            raise UsageError("one key was named twice", hint="officers, desk and witness are different persons")
        tiers.load(self.preset)
        money.currency(self.currency)


@dataclass(frozen=True, slots=True)
class FoundedPerson:
    """A person of the first frame. `operator`: for which the person signs, None for other duties."""

    person: int
    duty: Duty
    key: PublicKey
    operator: int | None


class StoredFounding:
    """The stored founding: the call's public facts, the seed, and everything that follows from them."""

    def __init__(self, folder: DataFolder, document: Mapping[str, Any]) -> None:
        self._folder = folder
        self.document = document
        self.seed = bytes.fromhex(document["seed"])
        self.at_ns: int = document["at_ns"]
        self.until_ns: int = document["until_ns"]
        self.currency = money.currency(document["currency"])

    @classmethod
    def store(cls, folder: DataFolder, founding: Founding, now_ns: int) -> StoredFounding:
        """Store the founding, or return the one stored before. Raises UsageError if that one is of another bank."""
        facts = {
            "format": FORMAT,
            "currency": founding.currency,
            "zone": founding.zone,
            "preset": founding.preset,
            "officers": [str(key) for key in founding.officers],
            "desk": str(founding.desk),
            "witness": str(founding.witness),
            "rehearsal_from_ns": founding.rehearsal_from_ns,
        }
        own = {
            "seed": os.urandom(SEED_BYTES).hex(),
            "at_ns": now_ns,
            "until_ns": founding.until_ns or now_ns + DUTY_NS,
        }
        try:
            create_once(folder.founding, (json.dumps(facts | own, indent=1) + "\n").encode())
        except OSError as error:
            raise UnavailableError(f"{folder.founding} cannot be written: {error.strerror}") from error
        record = cls.load(folder)
        differing = [name for name, value in facts.items() if record.document.get(name) != value]
        if differing or (founding.until_ns and founding.until_ns != record.until_ns):
            what = " and ".join(differing) or "end of duties"
            raise UsageError(
                f"{folder.path} holds a bank that was founded with another {what}",
                hint="name a new folder, or call `sycee init` exactly as before to finish an interrupted founding",
            )
        return record

    @classmethod
    def load(cls, folder: DataFolder) -> StoredFounding:
        """Return the stored founding. Raises UsageError if there is none, IntegrityError for other content."""
        folder_error = f"{folder.founding} is not the founding of a bank"
        content = read_bytes(folder.founding, FILE_BYTES_MAX, "founding of the bank")
        try:
            document = json.loads(content)
            if document["format"] != FORMAT:
                raise IntegrityError(f"{folder_error}: its format is {document['format']!r:.40}")
            return cls(folder, document)
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError(folder_error, hint="restore the data folder from a backup") from error

    def id(self, purpose: str) -> int:
        """Return the id of this purpose."""
        (made,) = ids.derive(self.seed, purpose, 1, time_ms=self.at_ns // 1_000_000)
        return ids.to_int(made)

    @property
    def technical_key_file(self) -> Path:
        """The file of operator 0's key, which the founding creates on this machine. No backup contains it."""
        return self._folder.keys / f"{ids.format(self.id('technical operator'))}.pem"

    def create_technical_key(self) -> None:
        """Create the key of operator 0, unless an interrupted founding did."""
        if not self.technical_key_file.exists():
            SigningKey.generate().save(self.technical_key_file)

    def technical_key(self) -> SigningKey:
        """Return the key of operator 0. Raises UsageError if this machine does not have it."""
        return SigningKey.load(self.technical_key_file)

    def persons(self) -> list[FoundedPerson]:
        """Return the persons who have duties from the first frame on."""
        officers = [PublicKey.parse(text) for text in self.document["officers"]]
        desk, witness = (PublicKey.parse(self.document[name]) for name in ("desk", "witness"))
        return [
            *(FoundedPerson(self.id(f"officer {at}"), Duty.OFFICER, key, None) for at, key in enumerate(officers)),
            FoundedPerson(self.id("desk"), Duty.OPERATOR, desk, DESK),
            FoundedPerson(self.id("technical operator"), Duty.OPERATOR, self.technical_key().public, TECHNICAL),
            FoundedPerson(self.id("witness"), Duty.WITNESS, witness, None),
        ]

    def accounts(self) -> dict[str, int]:
        """Return the ids of the issuer's own accounts, by name."""
        return {name: self.id(f"account {name}") for name in _ACCOUNTS}

    def records(self, numbers: Mapping[str, int], preset: Preset) -> Array:
        """Return the records of the first frame. `numbers`: of `allocate`."""
        made = list(self._currency_records())
        made += self._rule_records(numbers, preset)
        made += self._account_records()
        made += self._grant_records()
        return np.concatenate(made)

    def _currency_records(self) -> Iterator[Array]:
        for book in (self.currency.numeric, RESERVE_BOOK):
            yield operations.define_currency(self.id(f"currency {book}"), currency=book, zone=self.document["zone"])

    def _rule_records(self, numbers: Mapping[str, int], preset: Preset) -> Iterator[Array]:
        window: dict[str, Any] = {"from_ns": 0, "until_ns": I64_MAX}
        # A rule set without maxima: the cap is one of its later versions.
        yield operations.define_rule_set(self.id("minting cap"), rule_set=MINTING_RULE_SET, **window)
        yield tiers.tier_records(
            preset,
            first_rule_set=numbers["tiers"],
            ids=[self.id(f"tier {tier.name}") for tier in preset.tiers],
            **window,
        )
        yield recovery_records(
            self.id("recovery group"),
            self.id("recovery rule set"),
            group=numbers["recovery group"],
            rule_set=numbers["recovery"],
        )

    def _account_records(self) -> Iterator[Array]:
        accounts = self.accounts()
        for name, (is_reserve, kind, suspense) in _ACCOUNTS.items():
            yield operations.open_account(
                self.id(f"open {name}"),
                account=accounts[name],
                currency=RESERVE_BOOK if is_reserve else self.currency.numeric,
                kind=kind,
                suspense=accounts[suspense] if suspense else 0,
                # The desk's key is kept elsewhere, so a copy of this machine moves none of these accounts.
                operator=DESK,
                rule_set=MINTING_RULE_SET if name == "issuance" else 0,
            )

    def _grant_records(self) -> Iterator[Array]:
        for each in self.persons():
            yield operations.grant_role(
                self.grant_of(each),
                person=each.person,
                role=duties.ROLES[each.duty],
                key=each.key.key,
                flags=each.key.flags,
                from_ns=0,
                until_ns=self.until_ns,
                operator=each.operator or 0,
            )

    def grant_of(self, person: FoundedPerson) -> int:
        """Return the id of the GRANT_ROLE of a person's duty."""
        return self.id(f"grant {ids.format(person.person)}")


# Name → whether in the reserve book, kind, and the name of its suspense account.
_ACCOUNTS: Final[dict[str, tuple[bool, AccountKind, str]]] = {
    "issuance": (False, AccountKind.ISSUANCE, ""),
    "suspense": (False, AccountKind.SUSPENSE, ""),
    "reserve-issuance": (True, AccountKind.ISSUANCE, ""),
    "reserve-suspense": (True, AccountKind.SUSPENSE, ""),
    "converted": (True, AccountKind.RESERVE, "reserve-suspense"),
}


def allocate(connection: Connection, numbers: Numbers, preset: Preset) -> dict[str, int]:
    """Allocate the numbers of the first frame: the same ones at each call."""
    return {
        "tiers": numbers.allocate(connection, Numbers.RULE_SETS, "tiers", len(preset.tiers)),
        "recovery": numbers.allocate(connection, Numbers.RULE_SETS, RECOVERY_OWNER),
        "recovery group": numbers.allocate(connection, Numbers.GROUPS, RECOVERY_OWNER),
    }


class FoundingAction:
    """Writes the first persons, and the issuer's accounts, once the first frame is durable."""

    name = ACTION

    def __init__(self, people: People) -> None:
        self._people = people

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Store the persons of the payload with their duties."""
        for each in intent.payload["persons"]:
            held = HeldDuty(
                id=each["grant"],
                person=each["person"],
                duty=Duty(each["duty"]),
                institution=0,
                operator=each["operator"],
                from_ns=0,
                until_ns=each["until_ns"],
                grant=each["grant"],
            )
            self._people.record(connection, held, PublicKey.parse(each["public_key"]))

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Do nothing: an unsigned first frame does not lapse, and a refused one is an error of `Bank.create`."""


def payload_of(record: StoredFounding) -> dict[str, Any]:
    """Return the payload of the founding's intent."""
    return {
        "persons": [
            {
                "person": each.person,
                "duty": each.duty.value,
                "operator": each.operator,
                "public_key": str(each.key),
                "grant": record.grant_of(each),
                "until_ns": record.until_ns,
            }
            for each in record.persons()
        ]
    }


def master_key(path: Path) -> bytes:
    """Return the master key in a file, which is created if absent. Errors of `SecretKey`."""
    if not path.exists():
        SecretKey.generate().save(path)
    return SecretKey.load(path).secret
