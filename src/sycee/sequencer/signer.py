"""A private key that this process holds, and whose operations it signs."""

from __future__ import annotations

from dataclasses import dataclass

from sycee.core.arguments import check_id, check_integer
from sycee.core.errors import UsageError
from sycee.core.keys import SigningKey
from sycee.ledger.entities import Account


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key that this program holds: of a person with a role, or of an account, whose currency is given then.

    `Ledger.signer_for` makes the signer of an account. Raises UsageError for a value of the wrong type or size.
    """

    id: int
    key: SigningKey
    currency: int = 0  # ISO 4217 number of the account that signs; 0: a person signs
    key_epoch: int = 0  # how often the account's key was set

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", check_id("id", self.id))
        check_integer("currency", self.currency, high=2**16 - 1)
        check_integer("key_epoch", self.key_epoch, high=2**32 - 1)
        _check_private(self.key)

    @classmethod
    def of_account(cls, account: Account, key: SigningKey) -> Signer:
        """Return the signer of an account. Raises UsageError if the account's operations need another key, or none."""
        _check_private(key)
        if (account.key, account.key_flags) != (key.public.key, key.public.flags):
            raise UsageError(
                f"account {account.id:#034x} has {'another key than this' if account.key else 'no key'}",
                hint=f"the key given is {key.public}; set_key gives it to the account",
            )
        return cls(account.id, key, currency=account.currency, key_epoch=account.key_epoch)


def _check_private(key: SigningKey) -> None:
    if not isinstance(key, SigningKey):
        raise UsageError("a signer's key is no SigningKey", hint="SigningKey.load reads one from its file")
