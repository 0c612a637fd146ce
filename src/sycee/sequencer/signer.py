"""Who signs records: a person or an account, with a private key in this process or with signatures made elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Final

import numpy as np

from sycee.core import ids
from sycee.core.arguments import check_id, check_integer
from sycee.core.arrays import Array
from sycee.core.errors import SyceeError, UsageError
from sycee.core.keys import PublicKey, SigningKey
from sycee.core.limits import ENVELOPE_BYTES
from sycee.core.records.envelopes import Envelope, records_digest, sign, signing_message
from sycee.ledger.batch import prepare
from sycee.ledger.models import Account

# Between two parts. Signing holds the interpreter, and a payment in another thread needs it several times.
PART_PAUSE_S: Final = 0.0002
MOVED_MAX: Final = 64  # envelopes with another index that are tried for a part: each costs a verification


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key of a person with a role, or of an account; for an account `currency` is set.

    `Ledger.signer_for` returns the signer of an account. Raises UsageError for a value of the wrong type or size.
    """

    id: int
    key: SigningKey | PublicKey  # a public key only in a RemoteSigner
    currency: int = 0  # ISO 4217 number of the account that signs; 0: a person signs
    key_epoch: int = 0  # number of times that the account's key was set

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", check_id("id", self.id))
        check_integer("currency", self.currency, high=2**16 - 1)
        check_integer("key_epoch", self.key_epoch, high=2**32 - 1)
        self._check_key()

    def _check_key(self) -> None:
        _check_private(self.key)

    @property
    def public_key(self) -> PublicKey:
        """Return the public key."""
        return self.key.public if isinstance(self.key, SigningKey) else self.key

    def sign(self, records: Array, ledger_id: bytes, valid_until_ns: int, *, first: int = 0) -> Envelope:
        """Return an envelope over `records`, which begin at index `first` of their submission."""
        assert isinstance(self.key, SigningKey)
        return sign(
            records,
            ledger_id,
            self.id,
            self.key,
            valid_until_ns,
            first=first,
            currency=self.currency,
            key_epoch=self.key_epoch,
        )

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


class SignatureNeeded(SyceeError):
    """A remote signer has not signed these records yet; nothing was changed. `records`: (n,) layout.OPERATION.

    `parts`: number of consecutive records of each envelope; () for one envelope over all.
    """

    def __init__(
        self, signer: RemoteSigner, records: Array, ledger_id: bytes, valid_until_ns: int, parts: Sequence[int] = ()
    ) -> None:
        super().__init__(
            f"{ids.format(signer.id)} has not signed these {records.size:,} records",
            hint="sign the records with the private key, and send the request again with the envelope",
        )
        self.signer = signer
        self.records = records
        self.ledger_id = ledger_id
        self.valid_until_ns = valid_until_ns
        self.parts = parts

    def is_signed_by(self, signer: RemoteSigner) -> bool:
        """Return whether a signer has signed the records."""
        try:
            sign_parts(self.records, self.ledger_id, [signer], self.valid_until_ns, self.parts or [self.records.size])
        except SignatureNeeded:
            return False
        return True


@dataclass(frozen=True, slots=True)
class RemoteSigner(Signer):
    """A signer whose private key is on another machine. `key` is a public key.

    `given`: the envelopes made there. `other_keys`: further public keys of a person, each of which may have signed.
    """

    given: tuple[Envelope, ...] = ()
    other_keys: tuple[PublicKey, ...] = ()
    _given_at: dict[int, list[Envelope]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super(RemoteSigner, self).__post_init__()  # a dataclass with slots is a new class: `super()` alone fails
        for envelope in self.given:
            self._given_at.setdefault(envelope.first, []).append(envelope)

    def sign(self, records: Array, ledger_id: bytes, valid_until_ns: int, *, first: int = 0) -> Envelope:
        """Return the given envelope that covers `records`. Raises SignatureNeeded if none does.

        An envelope has its own `valid_until_ns`: the signer chose it.
        """
        digest, mine = records_digest(records), (self.id, self.currency, self.key_epoch, records.size)
        likely = self._given_at.get(first, ())  # the envelopes given for this index
        others = islice((each for each in self.given if each.first != first), MOVED_MAX)
        for envelope in chain(likely, others):
            if (envelope.signer, envelope.currency, envelope.key_epoch, envelope.count) != mine:
                continue
            message = signing_message(envelope, ledger_id, digest)
            if any(key.verifies(envelope.signature, message) for key in (self.public_key, *self.other_keys)):
                return replace(envelope, first=first)
        raise SignatureNeeded(self, records, ledger_id, valid_until_ns)

    def _check_key(self) -> None:
        if not isinstance(self.key, PublicKey):
            raise UsageError("a remote signer has a public key", hint="PublicKey.parse reads one from its text")


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
        made += [signers[index].sign(records[start:end], ledger_id, valid_until_ns, first=start) for index in chosen]
        start = end
    return made


def sign_parts(
    records: Array, ledger_id: bytes, signers: Sequence[Signer], valid_until_ns: int, parts: Sequence[int]
) -> list[Envelope]:
    """Sign consecutive parts of records, each by itself, with a pause between two. `parts`: number of records of each.

    Raises SignatureNeeded with all records if a remote signer has not signed every part.
    """
    made: list[Envelope] = []
    start = 0
    for size in parts:
        if start:
            time.sleep(PART_PAUSE_S)
        try:
            made += [
                each.sign(records[start : start + size], ledger_id, valid_until_ns, first=start) for each in signers
            ]
        except SignatureNeeded as needed:
            raise SignatureNeeded(needed.signer, records, ledger_id, valid_until_ns, parts) from needed
        start += size
    return made


def _check_private(key: object) -> None:
    if not isinstance(key, SigningKey):
        raise UsageError("a signer's key must be a SigningKey", hint="SigningKey.load reads one from its file")
