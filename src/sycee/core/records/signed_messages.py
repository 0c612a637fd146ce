"""Messages of 32 bytes that keys sign besides records: proofs of new keys, aliases, requests to pay, mandates.

Each message is BLAKE3-256 of fixed fields that begin with their own name, so that no signature counts for another
purpose. Ids are 16 bytes, little-endian; 0 for none. docs/reference/proposals.md, wallets.md and payments.md are exact.
"""

from __future__ import annotations

import struct
from typing import Final

from blake3 import blake3

from sycee.core.keys import PublicKey
from sycee.core.records.envelopes import check_ledger_id

PROOF: Final = "sycee.key-proof.v1"
ALIAS: Final = "sycee.alias.v1"
REQUEST: Final = "sycee.request.v1"
MANDATE: Final = "sycee.mandate.v1"

# name, ledger id, account, epoch, flags of the key, the key
_PROOF: Final = struct.Struct("<32s16s16sII32s")
# name, ledger id, account, key epoch, hash
_ALIAS: Final = struct.Struct("<32s16s16sI16s")
# name, ledger id, request, payee, payer, till, amount, currency, expiry, digest of the order and the text
_REQUEST: Final = struct.Struct("<32s16s16s16s16s16sqIq32s")
# name, ledger id, mandate, account, key epoch, currency, maximum a day
_MANDATE: Final = struct.Struct("<32s16s16s16sIIq")


def proof_message(ledger_id: bytes, account: int, epoch: int, key: PublicKey) -> bytes:
    """Return the 32 bytes that a new key signs to prove possession. `epoch`: the account's key epoch with this key.

    A copied public key, or a proof for another account or an earlier epoch, proves nothing.
    """
    check_ledger_id(ledger_id)
    return blake3(_PROOF.pack(PROOF.encode(), ledger_id, _id(account), epoch, key.flags, key.key)).digest()


def alias_message(ledger_id: bytes, account: int, epoch: int, hash: bytes) -> bytes:
    """Return the 32 bytes that a wallet's key of this epoch signs for an alias. `hash`: the alias's keyed hash."""
    return blake3(_ALIAS.pack(ALIAS.encode(), ledger_id, _id(account), epoch, hash)).digest()


def request_message(
    ledger_id: bytes, id: int, *, payee: int, payer: int, till: int, minor: int, currency: int, expires_ns: int,
    order: str, text: str,
) -> bytes:  # fmt: skip
    """Return the 32 bytes that a payee signs."""
    named = map(_id, (id, payee, payer, till))
    words = blake3(order.encode() + b"\0" + text.encode()).digest()
    return blake3(_REQUEST.pack(REQUEST.encode(), ledger_id, *named, minor, currency, expires_ns, words)).digest()


def mandate_message(
    ledger_id: bytes, id: int, *, account: int, key_epoch: int, currency: int, day_max_minor: int
) -> bytes:
    """Return the 32 bytes that a wallet signs."""
    named = map(_id, (id, account))
    return blake3(_MANDATE.pack(MANDATE.encode(), ledger_id, *named, key_epoch, currency, day_max_minor)).digest()


def _id(number: int) -> bytes:
    return number.to_bytes(16, "little")
