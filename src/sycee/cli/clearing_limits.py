"""`sycee clearing`: limits that participants set for themselves."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, local_time, moment, open_bank
from sycee.cli.clearing_options import CurrencyCode, amount_in, code_of, shown
from sycee.cli.operator import Operator, operator_number
from sycee.cli.parameters import AsJson
from sycee.cli.proposing import maker_of, signing_keys
from sycee.cli.terminal import print_list, show

NONE = "none"


def limit(
    folder: BankFolder,
    operator: Operator,
    kind: Annotated[str, Parameter(help="bilateral, multilateral or reservation.")],
    amount: Annotated[str, Parameter(help="Amount, such as 12.50; none ends the limit.")],
    /,
    *,
    other: Annotated[str, Parameter(help="The other participant of a bilateral limit.")] = "",
    currency: CurrencyCode = "",
    from_: Annotated[str, Parameter(name="--from", help="Local time from which it counts [default: now].")] = "",
    key: KeyFiles = None,
) -> int:
    """Limit what a participant pays net in a day, to one other or to all, or reserve money for urgent payments.

    A person of its operator does. Single bookings and sets keep the limit.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        number, zone, code = operator_number(bank, operator), bank.config.text("zone"), code_of(bank, currency)
        minor = None if amount == NONE else amount_in(bank, amount, currency, least=0)
        from_ns = moment(from_, zone) if from_ else 0
        bank.clearing.limits.set(
            number, code, kind, minor, other=operator_number(bank, other) if other else 0, from_ns=from_ns,
            who=maker_of(bank, keys),
        )  # fmt: skip
        what = f"no {kind} limit" if minor is None else f"{kind}: {amount} {code}"
        show(f"{operator}: {what}, from {from_ or 'now'}")
    return 0


def limits(folder: BankFolder, /, *, json_: AsJson = False) -> int:
    """List the limits of participants that count now."""
    with open_bank(folder) as bank:
        codes = {each.participant: each.code for each in bank.clearing.register.participants()}
        zone = bank.config.text("zone")
        rows = []
        for each in bank.clearing.limits.current():
            amount, _, code = shown(each.minor, each.currency).rpartition(" ")
            rows.append(
                {
                    "participant": codes[each.participant],
                    "kind": each.kind,
                    "other": codes.get(each.other, ""),
                    "amount": amount,
                    "currency": code,
                    "from": local_time(each.from_ns, zone),
                }
            )
    columns = ("participant", "kind", "other", "amount", "currency", "from")
    return print_list("limits", rows, *columns, numbers=("amount",), as_json=json_)
