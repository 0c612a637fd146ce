"""Payments signed before a load starts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sycee.core import ids
from sycee.core.clock import RealClock
from sycee.core.keys import SigningKey
from sycee.core.records import envelopes, single_record
from sycee.core.records.envelopes import Envelope
from sycee.load.wallets import LoadWallets

VALIDITY_NS = 3_600 * 10**9
AMOUNT_MINOR = 1

Progress = Callable[[int, int], None]  # payments signed, of all


def sign_payments(
    wallets: LoadWallets, count: int, *, seed: int, valid: bool = True, progress: Progress | None = None
) -> list[bytes]:
    """Return `count` payments of AMOUNT_MINOR between random wallets: a record and its envelope each, 232 bytes.

    `valid`: False signs with a key that no wallet has.
    """
    now_ns = RealClock().now_ns()
    operations = ids.generate(count, time_ms=now_ns // 1_000_000)
    random = np.random.default_rng(seed)
    size = len(wallets.wallets)
    payers = random.integers(size, size=count)
    payees = (payers + random.integers(1, size, size=count)) % size
    stranger = None if valid else SigningKey.generate("ed25519" if _is_ed25519(wallets) else "p256")
    made = []
    for at, (payer, payee) in enumerate(zip(payers.tolist(), payees.tolist(), strict=True)):
        wallet = wallets.wallets[payer]
        key = stranger or wallet.key
        record = single_record.pay(
            ids.to_int(operations[at]), wallet.account, wallets.wallets[payee].account, AMOUNT_MINOR
        )
        unsigned = Envelope(
            first=0,
            count=1,
            flags=key.public.flags if valid else wallet.key.public.flags,
            currency=wallets.currency,
            key_epoch=wallet.key_epoch,
            signer=wallet.account,
            valid_until_ns=now_ns + VALIDITY_NS,
            signature=b"",
        )
        made.append(record + envelopes.sign_record(record, unsigned, wallets.ledger_id, key))
        if progress is not None and not at % 1_000:
            progress(at, count)
    return made


def _is_ed25519(wallets: LoadWallets) -> bool:
    return wallets.wallets[0].key.public.flags == 1
