"""The folder of a demo: its bank, its keys, and `demo.json`, which is written last and describes the roles.

demo/
  bank/             the data folder of the bank
  keys/             synthetic private keys of everybody, and wallets.json for `sycee load`
  demo.json         roles, shops, wallets; no secret
  outbox/           messages to phones, one file each: codes, and second halves of codes for logins
  master.key, people-backup/
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from sycee.core.errors import IntegrityError, UsageError
from sycee.core.input_files import read_bytes
from sycee.core.output_files import write_file

FILE: Final = "demo.json"
OUTBOX: Final = "outbox"
FORMAT: Final = "sycee.demo.v1"
BYTES_MAX: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Role:
    """A person with a duty, and the program that acts for the person. `of`: name of an institution, or ""."""

    name: str
    duty: str
    of: str
    person: str
    client: str
    key: str  # file in keys/: signs records and proposals
    client_key: str  # file in keys/: of the program


@dataclass(frozen=True, slots=True)
class Shop:
    """A merchant with one outlet and one till."""

    name: str
    merchant: str
    account: str
    till: str
    till_key: str


@dataclass(frozen=True, slots=True)
class Wallet:
    """A citizen's wallet with its own key."""

    name: str
    phone: str
    holder: str
    account: str
    key: str


@dataclass(frozen=True, slots=True)
class Demo:
    """A seeded demo. `request`, `proposal`: ids of those that are open after the seeding."""

    seed: int
    ledger_id: str
    currency: str
    roles: tuple[Role, ...]
    shops: tuple[Shop, ...]
    wallets: tuple[Wallet, ...]
    request: str
    proposal: str

    def store(self, folder: Path) -> Self:
        """Write the description, which completes the demo."""
        members = {"format": FORMAT, "synthetic": True, **asdict(self)}
        write_file(folder / FILE, (json.dumps(members, indent=1, ensure_ascii=False) + "\n").encode())
        return self

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """Return the demo in a folder; None if the folder is empty or absent.

        Raises UsageError for a folder with something else, and for a demo whose seeding was interrupted.
        """
        file = folder / FILE
        if not file.exists():
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                if (folder / "bank").is_dir():
                    raise UsageError(
                        f"{folder} has a demo that was interrupted before it was complete",
                        hint="name another folder, or remove this one",
                    )
                raise UsageError(f"{folder} is not an empty folder", hint="name a new or an empty folder for the demo")
            return None
        content = read_bytes(file, BYTES_MAX, "description of a demo")
        try:
            members: dict[str, Any] = json.loads(content)
            if members.pop("format") != FORMAT or not members.pop("synthetic"):
                raise ValueError("another format")
            members["roles"] = tuple(Role(**each) for each in members["roles"])
            members["shops"] = tuple(Shop(**each) for each in members["shops"])
            members["wallets"] = tuple(Wallet(**each) for each in members["wallets"])
            return cls(**members)
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError(f"{file} is not the description of a demo", hint="name another folder") from error

    def require_seed(self, folder: Path, seed: int) -> None:
        """Raise UsageError if the demo is of another seed than the given one; 0 is any seed."""
        if seed not in (0, self.seed):
            raise UsageError(
                f"{folder} has the demo of seed {self.seed}, not {seed}", hint="omit --seed, or name another folder"
            )

    def role(self, name: str) -> Role:
        """Return the role of this name."""
        return next(each for each in self.roles if each.name == name)
