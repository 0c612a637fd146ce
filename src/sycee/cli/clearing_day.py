"""`sycee clearing`: days of the house, with rounds, calls for money and an end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, local_time, moment, open_bank
from sycee.cli.clearing_options import Effort, Seed, finish_messages, signing
from sycee.cli.parameters import AsJson
from sycee.cli.proposing import maker_of, signing_keys
from sycee.cli.terminal import print_table, show, show_json, table
from sycee.core.errors import UsageError
from sycee.core.words import quantity

if TYPE_CHECKING:
    from datetime import date

    from sycee.bank.bank import Bank
    from sycee.clearing.house_days import Day

DayName = Annotated[str, Parameter(name="DAY", help="Date, such as 2026-11-02.")]


def open_(
    folder: BankFolder,
    day: DayName,
    /,
    *,
    close: Annotated[str, Parameter(help="Local time of the closing round.")],
    funding: Annotated[str, Parameter(help="Local time until which called money can come.")],
    round_: Annotated[
        list[str] | None, Parameter(name="--round", negative="", help="Local time of a round; may be repeated.")
    ] = None,
    key: KeyFiles = None,
) -> int:
    """Open a day of the clearing house with the times of its rounds. A person of the house's operator does."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        zone = bank.config.text("zone")
        made = bank.clearing.house_days.open(
            _date(day), rounds_ns=sorted(moment(each, zone) for each in round_ or ()),
            close_ns=moment(close, zone), funding_ns=moment(funding, zone), who=maker_of(bank, keys),
        )  # fmt: skip
        show(f"{made.day} is {made.state}: close {local_time(made.close_ns, zone)}")
    return 0


def run(folder: BankFolder, /, *, seconds: Effort = 3.0, seed: Seed = 0, key: KeyFiles = None) -> int:
    """Do what is due of the newest day: rounds, the close with its calls, the last round, the end.

    The house's operator signs. Call it at the times of the day; after an interruption it continues.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        finish_messages(bank)
        _show(bank, bank.clearing.house_days.run(seconds=seconds, seed=seed, **signing(bank, keys)))
    return 0


def status(
    folder: BankFolder,
    day: Annotated[str, Parameter(name="DAY", help="Date; the newest day without it.")] = "",
    /,
    *,
    json_: AsJson = False,
) -> int:
    """Show a day: its state, its rounds, what participants were called for, and who failed."""
    with open_bank(folder) as bank:
        found = bank.clearing.house_days.day(_date(day) if day else None)
        if json_:
            show_json(_as_json(bank, found))
        else:
            _show(bank, found)
    return 0


def _show(bank: Bank, found: Day) -> None:
    members = _as_json(bank, found)
    done = sum(each["done"] for each in members["rounds"])
    show(f"{found.day} is {found.state}: {done} of {len(members['rounds'])} rounds, close {members['close']}")
    if members["calls"]:
        made = table("participant", "currency", "called", "missing", numbers=("called", "missing"))
        for each in members["calls"]:
            made.add_row(each["participant"], each["currency"], each["called"], each["missing"])
        print_table(made)
    if members["defaults"]:
        show(f"pays nothing more: {', '.join(members['defaults'])}")
    if found.ended_ns:
        show(f"{quantity(found.cancelled, 'payment')} cancelled")


def _as_json(bank: Bank, found: Day) -> dict[str, Any]:
    from sycee.core import money

    house_days, zone = bank.clearing.house_days, bank.config.text("zone")
    codes = {each.participant: each.code for each in bank.clearing.register.participants()}
    return {
        "day": found.day,
        "state": found.state,
        "close": local_time(found.close_ns, zone),
        "funding": local_time(found.funding_ns, zone),
        "rounds": [
            {"due": local_time(due_ns, zone), "done": bool(done_ns)} for due_ns, done_ns in house_days.rounds(found.day)
        ],
        "calls": [
            {
                "participant": codes[each.participant],
                "currency": money.currency_code(each.currency),
                "called": money.format(each.minor, money.currency_of(each.currency)),
                "missing": money.format(each.left_minor, money.currency_of(each.currency)),
            }
            for each in house_days.calls(found.day)
        ],
        "defaults": [codes[each] for each in house_days.defaults(found.day)],
        "cancelled": found.cancelled,
    }


def _date(text: str) -> date:
    from datetime import date

    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text[:40]!r} is no date", hint="write a date such as 2026-11-02") from error
