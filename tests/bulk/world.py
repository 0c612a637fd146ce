"""A town whose citizen Leo pays in bulk, and makers of files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tests.wallets.world import LEO_KEY, Town

from sycee.bulk.files import File
from sycee.client.signing import ENVELOPE_VALIDITY_NS
from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.records import bulk_rows
from sycee.core.records.bulk_rows import BATCH_ROWS, Content, Mode, Rows
from sycee.sequencer.embedded import Signer


def uuids(many: Sequence[int]) -> Array:
    return np.frombuffer(b"".join(each.to_bytes(16, "big") for each in many), np.uint8).reshape(-1, 16)


def rows_of(payees: Sequence[int], amounts: Sequence[int], **columns: Any) -> Rows:
    return Rows(uuids(payees), np.array(amounts, np.int64), **columns)


def parts_of(rows: Rows) -> list[Rows]:
    return [rows.part(start, start + BATCH_ROWS) for start in range(0, rows.size, BATCH_ROWS)]


def content_of(rows: Rows, payer: int, mode: Mode = Mode.EACH) -> Content:
    return Content.of(payer, mode, rows.size, map(bulk_rows.describe, parts_of(rows)))


@dataclass
class Payer:
    """Leo, or another account, and who signs for it."""

    town: Town
    account: int
    signers: list[Signer]
    who: int

    @classmethod
    def leo(cls, town: Town) -> Payer:
        return cls(town, town.leo, town.signer(town.leo, LEO_KEY), town.holder(town.leo))

    def new_id(self) -> int:
        return ids.new(self.town.bank.stores.clock.now_ns() // 1_000_000)

    def declare(self, rows: Rows, mode: Mode = Mode.EACH, id: int = 0) -> File:
        return self.town.bank.bulk.declare(id or self.new_id(), content_of(rows, self.account, mode), who=self.who)

    def envelopes(self, file: File, number: int, rows: Rows) -> list:
        records = bulk_rows.records(rows, file.ids, number * BATCH_ROWS, batch=file.settlement)
        until_ns = self.town.bank.stores.clock.now_ns() + ENVELOPE_VALIDITY_NS
        ledger_id = self.town.bank.stores.ledger.ledger_id
        signers = self.signers + (self.town.operator if file.settlement else [])
        return [each.sign(records, ledger_id, until_ns) for each in signers]

    def pay(self, file: File, rows: Rows, number: int = 0) -> list[str]:
        """Send one batch; the name of each row's code."""
        pending = self.town.bank.bulk.append(file, number, rows, self.envelopes(file, number, rows))
        return [bulk_rows.code_name(code) for code in pending.take().codes.tolist()]
