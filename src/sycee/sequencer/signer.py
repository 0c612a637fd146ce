"""A private key that this process has, and the person or account that signs with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sycee.core import ids
from sycee.core.arguments import check_id, check_integer
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.keys import SigningKey
from sycee.core.limits import ENVELOPE_BYTES
from sycee.ledger.batch import prepare
from sycee.ledger.envelopes import Envelope, sign
from sycee.ledger.models import Account


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key of a person with a role, or of an account; for an account `currency` is set.

    `Ledger.signer_for` returns the signer of an account. Raises UsageError for a value of the wrong type or size.
    """

    id: int
    key: SigningKey
    currency: int = 0  # ISO 4217 number of the account that signs; 0: a person signs
    key_epoch: int = 0  # number of times that the account's key was set

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", check_id("id", self.id))
        check_integer("currency", self.currency, high=2**16 - 1)
        check_integer("key_epoch", self.key_epoch, high=2**32 - 1)
        _check_private(self.key)

    @classmethod
    def of_account(cls, account: Account, key: SigningKey) -> Signer:
        """Return the signer of an account. Raises UsageError if the account has another key, or none."""
        _check_private(key)
        if (account.key, account.key_flags) != (key.public.key, key.public.flags):
            raise UsageError(
                f"account {ids.format(account.id)} has {'a different key' if account.key else 'no key'}",
                hint=f"the given key is {key.public}; set it with set_key first",
            )
        return cls(account.id, key, currency=account.currency, key_epoch=account.key_epoch)


def sign_records(
    records: Array,
    ledger_id: bytes,
    signers: Sequence[Signer],
    valid_until_ns: int,
    *,
    by: Array | None = None,
) -> list[Envelope]:
    """Sign records, (n,) layout.OPERATION, with one envelope per signer and frame; no chain is divided.

    `by`: (n,) for each record the index of its signer; a signer without a record in a frame does not sign that frame.
    None: every signer signs every frame. Raise UsageError for a chain that does not end or does not fit a frame.
    """
    made: list[Envelope] = []
    start = 0
    for part in prepare(records).split_into_frames(len(signers) * ENVELOPE_BYTES):
        end = start + part.size
        chosen = range(len(signers)) if by is None else np.unique(by[start:end]).tolist()
        made += [
            sign(
                records[start:end],
                ledger_id,
                signer.id,
                signer.key,
                valid_until_ns,
                first=start,
                currency=signer.currency,
                key_epoch=signer.key_epoch,
            )
            for signer in (signers[index] for index in chosen)
        ]
        start = end
    return made


def _check_private(key: SigningKey) -> None:
    if not isinstance(key, SigningKey):
        raise UsageError("a signer's key must be a SigningKey", hint="SigningKey.load reads one from its file")
