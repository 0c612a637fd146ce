"""Private keys that are on this machine: one PEM file for each, named by the id of a person or an account.

A server needs one key only: that of operator 0, whose accounts hold money in transit and none of customers. Every other
key here is a risk, which `list` names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sycee.core import ids
from sycee.core.errors import UsageError
from sycee.core.keys import PublicKey, SigningKey
from sycee.database.stores import Stores
from sycee.identity.duties import Duty
from sycee.identity.people import People

SUFFIX: Final = ".pem"
TECHNICAL: Final = 0  # operator number of the accounts in transit


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A private key on this machine. `signs`: what it signs for now, in words; () for nothing.

    `expected`: whether it is operator 0's key, the only one that a server needs.
    """

    path: Path
    subject: int
    key: PublicKey
    signs: tuple[str, ...]
    expected: bool


class KeyFiles:
    """The folder of private keys of one machine."""

    def __init__(self, folder: Path, stores: Stores, people: People) -> None:
        self._folder = folder
        self._stores = stores
        self._people = people

    def list(self) -> Sequence[KeyFile]:
        """Return the keys on this machine, by file name. Raises UsageError for a file that is no private key."""
        paths = sorted(self._folder.glob(f"*{SUFFIX}")) if self._folder.is_dir() else []
        return [self._described(path) for path in paths]

    def path_of(self, subject: int) -> Path:
        """Return the file of a person's or an account's key."""
        return self._folder / f"{ids.format(subject)}{SUFFIX}"

    def add(self, subject: int, key: SigningKey) -> Path:
        """Write a key to its file, which only its owner can read, and return the file. UsageError if it exists."""
        path = self.path_of(subject)
        key.save(path)
        return path

    def load(self, subject: int) -> SigningKey:
        """Return the key of a person or an account. Raises UsageError if it is not on this machine."""
        return SigningKey.load(self.path_of(subject))

    def _described(self, path: Path) -> KeyFile:
        public = SigningKey.load(path).public
        try:
            subject = ids.parse(path.stem)
        except UsageError as error:
            raise UsageError(
                f"the key file {path} is not named by an id", hint="name it by the id of the person or the account"
            ) from error
        held = [each for each in self._people.duties_of(subject) if public in self._people.keys_of(subject)]
        signs = [str(each) for each in held]
        with self._stores.ledger.sequencer.reading() as state:
            account = state.account(subject)
        if account is not None and (account.key, int(account.key_flags)) == (public.key, public.flags):
            signs.append(f"account {ids.format(subject)}")
        expected = [each.duty is Duty.OPERATOR and each.operator == TECHNICAL for each in held]
        return KeyFile(path, subject, public, tuple(signs), bool(expected) and all(expected))
