"""Messages and payments between banks, at the clearing house."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class DeliveredMessage:
    """The house's answer to a message, XML, and its payments: stored now, stored before, and refused."""

    answer: bytes
    stored: int
    duplicates: int
    refused: int


@dataclass(frozen=True, slots=True)
class ClearingMessage:
    """A stored message of a participant. `answer`: XML; None before the house answered."""

    number: int
    business_id: str
    kind: str
    received: str
    answer: str | None


@dataclass(frozen=True, slots=True)
class InboxMessage:
    """A message of another participant, which the house forwards. `content`: XML, about one payment.

    `problem`: None; or why `content` is None: the house's stored message is damaged.
    """

    number: int
    kind: str
    forwarded: str
    content: str | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class StatementBreak:
    """A difference between a statement and what the house booked, with a proposed cause. Debits are below zero.

    `reference`: the first one of either side, "" without any. `difference_minor`: how much more was stated than booked.
    """

    cause: str
    reference: str
    stated_minor: int
    booked_minor: int
    difference_minor: int


@dataclass(frozen=True, slots=True)
class ComparedStatement:
    """What came of a statement: the numbers of entries that agree and that are not booked there, and the breaks."""

    id: str
    currency: str
    agreed: int
    pending: int
    breaks: tuple[StatementBreak, ...]


@dataclass(frozen=True, slots=True)
class ClearingPayment:
    """A payment between participants, named by their codes, such as BICs. `reason`: of a refusal, a code of ISO 20022.

    `receiver` is None if the message named no participant. `back_amount_minor`: of payment against payment.
    """

    number: int
    uetr: str
    sender: str
    receiver: str | None
    amount_minor: int
    currency: str
    back_amount_minor: int | None
    back_currency: str | None
    priority: int
    state: str
    reason: str
    received: str
    booked: str | None


@dataclass(frozen=True, slots=True)
class ClearingParticipant:
    """A participant: its code in messages, quotes and acceptances, and the currencies in which it has a position."""

    participant: int
    code: str
    currencies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CorridorRow:
    """Currency pair, maximum amount and validity of a participant's quotes. `most_minor`: of one quote, in `takes`."""

    takes: str
    gives: str
    most_minor: int
    valid_s: int


@dataclass(frozen=True, slots=True)
class QuoteRow:
    """A quote. Amounts are in `takes`: `least_minor` of one acceptance, `most_minor` of all, `left_minor` now.

    `rate`: units of `gives` for one of `takes`. `until_ns`: when it expires. `digest`: of the text that its provider
    signed, which follows from the other fields.
    """

    id: str
    provider: str
    takes: str
    gives: str
    rate: Fraction
    least_minor: int
    most_minor: int
    until_ns: int
    digest: str
    left_minor: int
    received: str
