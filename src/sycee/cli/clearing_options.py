"""Parameters and steps that the commands of the clearing house share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from cyclopts import Parameter

from sycee.cli.parameters import Between
from sycee.cli.proposing import maker_of
from sycee.cli.terminal import note
from sycee.core.errors import UsageError
from sycee.core.words import quantity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sycee.bank.bank import Bank
    from sycee.core.keys import SigningKey

CurrencyCode: TypeAlias = Annotated[
    str, Parameter(name="--currency", help="Currency, such as HKD [default: the bank's].")
]
SECONDS_MAX: Final = 3_600.0
Effort: TypeAlias = Annotated[
    float, Parameter(help="Effort of the search.", validator=Between("--seconds", 0.01, SECONDS_MAX, 3))
]
Seed: TypeAlias = Annotated[int, Parameter(help="Seed of the search.", validator=Between("--seed", 0, 2**62, 0))]
PAGE_MAX: Final = 100_000
PaymentState: TypeAlias = Annotated[
    str, Parameter(help="State of the payments, such as booked or refused; all for every one.")
]
Most: TypeAlias = Annotated[int, Parameter(help="Number of payments.", validator=Between("--most", 1, PAGE_MAX, 1_000))]
QUEUE_COLUMNS: Final = ("number", "uetr", "sender", "receiver", "amount", "currency", "priority", "state", "reason")
QUEUE_NUMBERS: Final = ("number", "amount", "priority")


def state_of(text: str) -> str:
    """Return the state of payments that an option names, "" for all. Raises UsageError for another text."""
    from sycee.clearing.tables import STATES
    from sycee.core import typos

    if text not in (*STATES, "all"):
        raise UsageError(
            f'there is no state "{text}"', hint=typos.hint(text, STATES, f"states: all, {', '.join(STATES)}")
        )
    return "" if text == "all" else text


def signing(bank: Bank, keys: Sequence[SigningKey]) -> dict[str, Any]:
    """Return who signs and who asks, as the service's verbs take them."""
    return {"signers": bank.signers(*keys), "who": maker_of(bank, keys)}


def house_name(bank: Bank) -> str:
    """Return the name of the house in its answers."""
    found = bank.institutions.of_operator(bank.clearing.register.house().operator)
    assert found is not None, "the house is an institution"
    return found.name


def finish_messages(bank: Bank) -> None:
    """Answer the messages whose answers a crash lost, and do what they ask: call it before bookings."""
    if bank.clearing.receiving.unanswered():
        count, errors = bank.clearing.intake(house_name(bank)).finish()
        note(f"answered {quantity(count, 'message')} that came before an interruption")
        for error in errors:
            note(f"messages are not answered: {error.message}")


def code_of(bank: Bank, code: str) -> str:
    """Return the currency that an option names: the bank's own without it."""
    return code or bank.config.currency.code


def amount_in(bank: Bank, text: str, code: str, *, least: int = 1) -> int:
    """Return an amount of a currency in minor units. Raises UsageError for one below `least`."""
    from sycee.core import money

    minor = money.parse(text, money.currency(code_of(bank, code)))
    if minor < least:
        raise UsageError(f"the amount {text[:40]} is below {least}", hint="name an amount such as 12.50")
    return minor


def shown(minor: int, number: int) -> str:
    """Return an amount as text with its currency, by its ISO 4217 number."""
    from sycee.core import money

    currency = money.currency_of(number)
    return money.with_code(minor, currency)
