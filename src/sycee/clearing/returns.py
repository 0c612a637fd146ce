"""Returns by message (pacs.004): payments of the receiver back to the sender, each of one booked payment."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final

from blake3 import blake3

from sycee.clearing.chains import Chain
from sycee.core.extras import extra

with extra("clearing"):
    from sycee.iso20022 import forms
from sycee.iso20022.bulk_credit_transfers import bank_code
from sycee.iso20022.credit_transfers import agent_of, party_of
from sycee.iso20022.institutions import Actor, Institution
from sycee.iso20022.messages import Message
from sycee.iso20022.reading import MessageError
from sycee.iso20022.returns import ReturnedPayment, Returns

KINDS: Final = ("pacs.004.001.09", "pacs.004.001.10")
_MARK: Final = b"sycee.clearing-return.v1"


def check(message: Message, code: str) -> None:
    """Raise MessageError for a return that another bank sends, and for one that names a payment twice."""
    value: Returns = message.value
    seen: set[str] = set()
    header = message.header.sender.bic if message.header else ""
    for number, each in enumerate(value.transactions, 1):
        place = f"PmtRtr/TxInf[{number}]"
        for named, where in ((header, "AppHdr/Fr"), (bank_code(sender_of(value, each)), f"{place}/InstgAgt")):
            if named not in ("", code):
                right = f"{code}, whose key signed"
                raise MessageError("the message", 0, where, f"{named} sends it, and {code} signed it", right=right)
        if each.uetr in seen:
            problem, right = f"{each.uetr} is returned twice", "each payment once"
            raise MessageError("the message", 0, f"{place}/OrgnlUETR", problem, right=right, reason=forms.DUPLICATE)
        seen.add(each.uetr)


def sender_of(value: Returns, each: ReturnedPayment) -> Institution:
    """Return the institution that sends a return."""
    found = each.sender or value.sender
    assert found, "`problems` of the message refuses it otherwise"
    return found


def receiver_of(value: Returns, each: ReturnedPayment) -> Institution:
    """Return the institution to which a return goes."""
    found = each.receiver or value.receiver
    assert found, "`problems` of the message refuses it otherwise"
    return found


def uetr_of(participant: int, value: Returns, each: ReturnedPayment) -> str:
    """Return the UETR by which the house keeps a return: a message names that of the returned payment alone.

    It follows from the sender, the returned payment, and the id of the return, or else of its message.
    """
    parts = (_MARK, participant.to_bytes(4, "little"), uuid.UUID(each.uetr).bytes, (each.id or value.id).encode())
    return str(uuid.UUID(bytes=blake3(b"".join(parts)).digest(16), version=4))


def chain_of(value: Returns, each: ReturnedPayment, paid: Chain | None) -> Chain:
    """Return the chain of a return: as its message states it, or else that of the returned payment backwards.

    `paid`: the chain of the returned payment, None if it crossed no border.
    """
    ends = sender_of(value, each), receiver_of(value, each)
    if each.chain is None:
        if paid is not None:
            return Chain(paid.agents[::-1], paid.parties, paid.has_accounts)
        return Chain(tuple(agent for one in ends if (agent := agent_of(one))))
    of = each.chain
    actors: Sequence[Actor | None] = (of.ultimate_debtor, of.debtor, of.creditor, of.ultimate_creditor)
    first, second, third, last = (each.institution if each else None for each in actors)
    institutions = (
        first, second, of.debtor_agent, of.previous1, of.previous2, of.previous3, *ends, of.intermediary1,
        of.intermediary2, of.intermediary3, of.creditor_agent, third, last,
    )  # fmt: skip
    return Chain(
        tuple(agent for one in institutions if (agent := agent_of(one))),
        tuple(party_of(one.customer) for one in actors if one and one.customer),
    )
