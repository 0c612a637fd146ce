"""`sycee clearing`: money of positions, in and out."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, open_bank
from sycee.cli.clearing_options import CurrencyCode, amount_in, code_of, shown, signing
from sycee.cli.mint import Amount
from sycee.cli.operator import Operator, operator_number
from sycee.cli.parameters import AsJson
from sycee.cli.proposing import signing_keys
from sycee.cli.terminal import print_list, show


def prefund(folder: BankFolder, operator: Operator, amount: Amount, /, *, key: KeyFiles = None) -> int:
    """Move money from a participant's vault to its position. Its operator signs."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        minor, number, code = amount_in(bank, amount, ""), operator_number(bank, operator), code_of(bank, "")
        outcome = bank.clearing.positions.prefund(number, code, minor, **signing(bank, keys))
        outcome.require_created("nothing was moved")
        show(f"{amount} {code} moved to the position of {operator}")
    return 0


def pay_out(
    folder: BankFolder, operator: Operator, amount: Amount, /, *, currency: CurrencyCode = "", key: KeyFiles = None
) -> int:
    """Move money from a position to its participant's vault. The house's operator signs.

    Money of another currency than the bank's is destroyed: its settlement system pays the participant.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        minor, number = amount_in(bank, amount, currency), operator_number(bank, operator)
        code = code_of(bank, currency)
        outcome = bank.clearing.positions.pay_out(number, code, minor, **signing(bank, keys))
        outcome.require_created("nothing was moved")
        show(f"{amount} {code} paid out to {operator}")
    return 0


def block(
    folder: BankFolder,
    operator: Operator,
    /,
    *,
    lift: Annotated[bool, Parameter(negative="", help="Lift the block.")] = False,
    key: KeyFiles = None,
) -> int:
    """Block what leaves the positions of a participant, which still receive. The house's operator signs."""
    from sycee.core.records.layout import Reason

    keys = signing_keys(key)
    with open_bank(folder) as bank:
        number = operator_number(bank, operator)
        outcome = bank.clearing.positions.block(number, reason=Reason.OPERATOR, lift=lift, **signing(bank, keys))
        outcome.require_created("nothing was changed")
        show(f"the positions of {operator} {'pay again' if lift else 'pay nothing more'}")
    return 0


def positions(folder: BankFolder, /, *, json_: AsJson = False) -> int:
    """List the positions: their money, their floors, and what is left of their lines."""
    from sycee.core import money

    with open_bank(folder) as bank:
        names = {each.participant: each.code for each in bank.clearing.register.participants()}
        rows = [
            {
                "participant": each.position.participant,
                "code": names[each.position.participant],
                "currency": money.currency_code(each.position.currency),
                "position": _amount(each.minor, each.position.currency),
                "floor": _amount(each.floor_minor, each.position.currency),
                "line": _amount(each.line_minor, each.position.currency),
                "drawn": _amount(each.drawn_minor, each.position.currency),
                "may_pay": _amount(each.limit_minor, each.position.currency),
                "state": "open" if each.can_pay else "blocked",
            }
            for each in bank.clearing.positions.funds()
        ]
    columns = ("participant", "code", "currency", "position", "floor", "line", "drawn", "may pay", "state")
    return print_list("positions", rows, *columns, numbers=columns[3:8], as_json=json_)


def _amount(minor: int, currency: int) -> str:
    return shown(minor, currency).rpartition(" ")[0]
