"""Messages and payments between banks, at the clearing house."""

from __future__ import annotations

from dataclasses import dataclass


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
