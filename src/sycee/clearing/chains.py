"""What the message of a payment says about the institutions and persons in it, as far as compliance judges it.

Payments with equal chains share one: the amount and the UETR are the payment's own. Names of persons are not kept.
The extra `clearing` is needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sycee.core.canonical_json import canonical
from sycee.core.extras import extra

with extra("clearing"):
    from sycee.iso20022 import credit_transfers
from sycee.iso20022.bulk_credit_transfers import TransferColumns, TransferMessage, TransferRow
from sycee.iso20022.credit_transfers import Agent, CreditTransfer, Party
from sycee.iso20022.elements import Amount
from sycee.iso20022.messages import read


@dataclass(frozen=True, slots=True)
class Chain:
    """The chain of a payment.

    `agents` are the institutions that it passes, from the first to the last; `parties` the persons and firms that it
    names. `instructed` is the amount before an exchange.
    """

    agents: tuple[Agent, ...]
    parties: tuple[Party, ...] = ()
    has_accounts: bool = False
    instructed: Amount | None = None

    @property
    def crosses(self) -> bool:
        """Return whether the payment may cross a border: its message names several states, or no state for somebody."""
        named = [each.states for each in self.agents] + [each.states for each in self.parties]
        return not all(named) or len({state for each in named for state in each}) > 1

    @property
    def text(self) -> str:
        """The chain as canonical JSON, from which `parse` makes it again without names."""
        agents = [[each.bic, each.lei, list(each.states)] for each in self.agents]
        parties = [[list(each.states), each.identified] for each in self.parties]
        found = {"agents": agents, "parties": parties, "accounts": self.has_accounts}
        if self.instructed:
            found["instructed"] = [self.instructed.currency, self.instructed.minor]
        return canonical(found).decode()

    def transfer(self, uetr: str, amount: Amount) -> CreditTransfer:
        """Return the transfer that a payment of this chain is."""
        return CreditTransfer(
            uetr=uetr, instruction_id="", end_to_end_id="", transaction_id="", amount=amount,
            instructed=self.instructed, settlement_day=None, agents=self.agents, parties=self.parties,
            has_accounts=self.has_accounts, line=0,
        )  # fmt: skip


def parse(text: str) -> Chain:
    """Return the chain of a text that `Chain.text` made."""
    found = json.loads(text)
    return Chain(
        tuple(Agent(bic=bic, lei=lei, states=tuple(states)) for bic, lei, states in found["agents"]),
        tuple(Party(states=tuple(states), identified=identified) for states, identified in found["parties"]),
        found["accounts"],
        Amount(*found["instructed"]) if "instructed" in found else None,
    )


def of_transfer(transfer: CreditTransfer) -> Chain:
    """Return the chain of a transfer."""
    return Chain(transfer.agents, transfer.parties, transfer.has_accounts, transfer.instructed)


def of_codes(bics: Iterable[str]) -> Chain:
    """Return the chain of institutions that are named by their BICs alone."""
    return Chain(tuple(Agent(bic=each, states=(each[4:6],)) for each in bics))


def cross_border_chains(messages: Sequence[TransferMessage], contents: Sequence[bytes]) -> Mapping[int, Chain]:
    """Return the chains of the payments that may cross a border, by row of all messages.

    `contents`: the bytes of each message, which are read again where a payment names more than four banks by BIC.
    """
    found: dict[int, Chain] = {}
    plain: dict[tuple[str, ...], Chain | None] = {}
    first = 0
    for message, content in zip(messages, contents, strict=True):
        if all(row.is_plain for row in message.rows):
            for at, row in enumerate(message.rows, first):
                banks = _banks(row)
                if banks not in plain:
                    chain = of_codes(banks)
                    plain[banks] = chain if chain.crosses else None
                if (shared := plain[banks]) is not None:
                    found[at] = shared
        else:
            for at, each in enumerate(credit_transfers.of_message(read(content)).transactions, first):
                chain = of_transfer(each)
                if chain.crosses:
                    found[at] = chain
        first += len(message.rows)
    return found


def plain_cross_border_chains(rows: TransferColumns) -> Mapping[int, Chain]:
    """Return the chains of the payments that may cross a border, by row: of plain transactions alone."""
    passed = np.stack([rows.debtor, rows.sender, rows.receiver, rows.creditor], axis=1)
    distinct, of_row = np.unique(passed, axis=0, return_inverse=True)
    found = [of_codes([rows.banks[at] for at in each]) for each in distinct.tolist()]
    crosses = np.array([each.crosses for each in found], bool)
    return {row: found[of_row[row]] for row in np.flatnonzero(crosses[of_row]).tolist()}


def _banks(row: TransferRow) -> tuple[str, ...]:
    return (row.debtor, row.sender, row.receiver, row.creditor)
