"""Who signs what this process submits."""

from __future__ import annotations

from dataclasses import dataclass

from sycee.core.errors import UsageError
from sycee.core.keys import SigningKey
from sycee.ledger.operations import integer


@dataclass(frozen=True, slots=True)
class Signer:
    """Somebody whose key this program holds: a person with a role, or an account, whose currency is given then.

    `Ledger.signer_for` makes that of an account. Raises UsageError for what is no id, no key or no number.
    """

    id: int
    key: SigningKey
    currency: int = 0  # ISO 4217 number of the account that signs; 0: a person signs
    key_epoch: int = 0  # how often the account's key was set

    def __post_init__(self) -> None:
        integer("id", self.id)
        integer("currency", self.currency, high=2**16 - 1)
        integer("key_epoch", self.key_epoch, high=2**32 - 1)
        check_private(self.key)


def check_private(key: SigningKey) -> None:
    """Raise UsageError for what is no private key."""
    if not isinstance(key, SigningKey):
        raise UsageError("a signer's key is no SigningKey", hint="SigningKey.load reads one from its file")
