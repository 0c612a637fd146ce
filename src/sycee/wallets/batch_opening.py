"""Opening of wallets in batches of one request each: every row has its own wallet id, and may have its own key.

A batch is one intent under the caller's id, so that it is opened once however often the request is repeated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy

from sycee.core import ids
from sycee.core.clock import read_ns
from sycee.core.errors import UsageError
from sycee.core.ids import Ids
from sycee.core.keys import PublicKey
from sycee.core.records.signed_messages import proof_message
from sycee.core.result_codes import Result
from sycee.database.actions import IntentOutcome
from sycee.database.bulk import any_of
from sycee.database.columns import ids_bytes
from sycee.database.intents import INTENT_RECORDS_MAX, StoredIntent
from sycee.database.transactions import reading
from sycee.personal import sealing
from sycee.personal.register import Examined, Prepared
from sycee.sequencer.signer import Signer
from sycee.wallets.opening import ACTION, DUPLICATE_PERSON, Opening
from sycee.wallets.tables import LAPSED, WALLETS

BATCH_ROWS_MAX: Final = INTENT_RECORDS_MAX // 2  # an account and a key for each row

# Why a row was not opened, besides the codes of `opening`.
INVALID_TEXT: Final = "INVALID_TEXT"  # with a control character
WRONG_PROOF: Final = "WRONG_PROOF"
WALLET_ID_TAKEN: Final = "WALLET_ID_TAKEN"


_CONTROL: Final = re.compile("[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class NewWallet:
    """A wallet to open in a batch. `account`: a fresh id. `proof`: the key's signature of `proof_message`, epoch 1.

    Without a key the wallet is custodial.
    """

    account: int
    key: PublicKey | None = None
    proof: bytes = b""


@dataclass(frozen=True, slots=True)
class OpenedRow:
    """The outcome of a row of a batch. `holder`: 0 where it was refused; `code`: why, "" for an opened wallet."""

    account: int
    holder: int
    code: str


class BatchOpening(Opening):
    """Opens wallets: one, many custodial ones, and batches."""

    def open_batch(
        self,
        columns: Mapping[str, Sequence[str]],
        wallets: Sequence[NewWallet],
        *,
        operator: int,
        tier: str,
        signers: Sequence[Signer],
        who: int,
        id: int = 0,
    ) -> list[OpenedRow]:
        """Register new persons and open a wallet for each, in one intent; return the outcome of each row, in order.

        - `columns`: as of `open_many`; `wallets`: of each row, BATCH_ROWS_MAX at most.
        - `id`: of the intent. The same id again returns the same rows, and signs them anew if the signatures of an
          interrupted call had expired.

        A row that cannot be opened does not stop the others. Nothing is stored before the records are signed. Raises
        the errors of `open`, and UsageError for too many rows, for a wallet that is named twice, and for the id of an
        opening of other wallets.
        """
        examined, accounts = self._register.examine(columns), [each.account for each in wallets]
        _check_batch(examined.size, accounts)
        # The same ids in a repeated call, whichever rows are refused.
        persons = ids.generate(examined.size, time_ms=read_ns(self._stores.clock) // 1_000_000)
        keys = [each.key for each in wallets]
        self._check_opening(operator, tier, None if None in keys else keys[0], who, is_person=True)
        with self._one_at_a_time:
            faults = self._batch_faults(examined, wallets)
            stored = self._stores.intents.find(id) if id else None
            if stored is not None:
                if stored.action != ACTION or stored.payload["operator"] != operator:
                    raise UsageError(f"the id {ids.format(id)} is of another action", hint="choose a fresh id")
                self._check_same(stored, wallets)
                outcome = self._finished(stored, signers)
            else:
                good = [row for row in range(examined.size) if row not in faults]
                if not good:
                    return [OpenedRow(account, 0, faults[row]) for row, account in enumerate(accounts)]
                outcome = self._open_rows(
                    examined, good, accounts, persons, keys, operator=operator, tier=tier, signers=signers, who=who,
                    id=id,
                )  # fmt: skip
        if outcome.state == LAPSED:
            outcome.require_created("no wallet was opened")
        return self._opened_rows(outcome, wallets, faults)

    def require_renewable(self, opening: int) -> None:
        """Raise UsageError for a batch with keys: who signs its records anew has to compare the keys with the rows."""
        stored = self._stores.intents.find(opening)
        if stored is not None and stored.payload.get("keyed"):
            raise UsageError(
                f"the batch {ids.format(opening)} has wallets with keys of their own",
                hint="repeat the request that opened it, with the same rows and the same id",
            )

    def _check_same(self, stored: StoredIntent, wallets: Sequence[NewWallet]) -> None:
        """Raise UsageError unless all wallets of a stored opening are among those of the batch, with as many keys."""
        with reading(self._stores.engine) as connection:
            query = sqlalchemy.select(WALLETS.c.account).where(WALLETS.c.intent == stored.id)
            opened = set(connection.scalars(query))
        named = [each for each in wallets if each.account in opened]
        if len(named) < len(opened) or len(named) + sum(each.key is not None for each in named) != stored.size:
            raise UsageError(f"the id {ids.format(stored.id)} is of another opening", hint="choose a fresh id")

    def _open_rows(
        self, examined: Examined, good: list[int], accounts: list[int], persons: Ids, keys: list[PublicKey | None],
        *, operator: int, tier: str, signers: Sequence[Signer], who: int, id: int,
    ) -> IntentOutcome:  # fmt: skip
        """Open the wallets of the rows `good`."""
        holders, names = persons[good], examined.columns.get("name", [""] * examined.size)
        masked, prepared = [sealing.mask(names[row]) for row in good], list[Prepared]()
        (draft,) = self._drafts(
            ids.from_ints([accounts[row] for row in good]), holders, operator, tier, [keys[row] for row in good], (),
            who, lambda: (prepared[0], masked), is_person=True, id=id,
        )  # fmt: skip
        signed = self._signed(draft, signers)
        prepared.append(self._register.prepare(ids.to_ints(holders), examined, good))
        return self._stores.intents.perform(signed)

    def _opened_rows(
        self, outcome: IntentOutcome, wallets: Sequence[NewWallet], faults: Mapping[int, str]
    ) -> list[OpenedRow]:
        """Return the rows of a batch whose intent is done. `faults`: codes of the rows that the intent omits."""
        with reading(self._stores.engine) as connection:
            query = sqlalchemy.select(WALLETS.c.account, WALLETS.c.holder).where(WALLETS.c.intent == outcome.intent)
            holders = {row.account: row.holder for row in connection.execute(query)}
        named = [each for each in wallets if each.account in holders]
        results = [*outcome.results]
        codes = {each.account: result for each, result in zip(named, results, strict=False)}
        keyed = [each.account for each in named if each.key is not None]
        for account, result in zip(keyed, results[len(named) :], strict=True):
            if codes[account] is Result.CREATED:
                codes[account] = result
        rows = []
        for row, each in enumerate(wallets):
            if each.account not in holders:
                rows.append(OpenedRow(each.account, 0, faults.get(row, DUPLICATE_PERSON)))
            elif codes[each.account] is Result.CREATED:
                rows.append(OpenedRow(each.account, holders[each.account], ""))
            else:
                rows.append(OpenedRow(each.account, 0, codes[each.account].name))
        return rows

    def _batch_faults(self, examined: Examined, wallets: Sequence[NewWallet]) -> dict[int, str]:
        """Return the rows of a batch that cannot be opened, with their codes."""
        faults, ledger_id = self._faults(examined), self._stores.ledger.ledger_id
        for texts in examined.columns.values():
            faults |= {row: INVALID_TEXT for row, text in enumerate(texts) if _CONTROL.search(text)}
        named = ids.from_ints([each.account for each in wallets])
        with reading(self._stores.engine) as connection:
            condition, parameters = any_of(connection, "account", ids_bytes(named))
            query = f'SELECT account FROM "{WALLETS.name}" WHERE {condition}'  # noqa: S608 - places only
            taken = {int.from_bytes(bytes(row[0]), "big") for row in connection.exec_driver_sql(query, parameters)}
        with self._stores.ledger.sequencer.reading() as state:
            in_ledger = state.rows(named) >= 0
        for row, each in enumerate(wallets):
            if each.account in taken or in_ledger[row]:
                faults.setdefault(row, WALLET_ID_TAKEN)
            elif each.key is not None and row not in faults:
                message = proof_message(ledger_id, each.account, 1, each.key)
                if not each.key.verifies(each.proof, message):
                    faults[row] = WRONG_PROOF
        return faults


def _check_batch(size: int, accounts: Sequence[int]) -> None:
    """Raise UsageError for a batch of the wrong size, and for a wallet that is named twice."""
    if not 0 < size == len(accounts) <= BATCH_ROWS_MAX:
        raise UsageError(
            f"a batch has 1 to {BATCH_ROWS_MAX:,} rows with a wallet each; got {size:,} and {len(accounts):,} wallets",
            hint="divide the rows into several batches",
        )
    if len({*accounts}) < len(accounts):
        raise UsageError("two rows name the same wallet", hint="give each row its own fresh id")
