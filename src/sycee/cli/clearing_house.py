"""`sycee clearing`: the house, its currencies, its participants and their lines. Officers sign proposals."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, moment, named_key, open_bank
from sycee.cli.clearing_options import CurrencyCode, amount_in, code_of
from sycee.cli.mint import Amount
from sycee.cli.operator import Operator, operator_number
from sycee.cli.proposing import maker_of, sign_and_show, signing_keys
from sycee.cli.terminal import show
from sycee.core.errors import UsageError

Floor = Annotated[str, Parameter(help="What always stays on each position.")]
Foreign = Annotated[str, Parameter(help="Currency, such as HKD; not the bank's.")]
Most = Annotated[str, Parameter(help="Largest balance of each position; 0 for any.")]


def found(folder: BankFolder, operator: Operator, /, *, key: KeyFiles = None) -> int:
    """Propose that an operator runs the clearing house, in the bank's currency. Two officers sign."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        number = operator_number(bank, operator)
        return sign_and_show(bank, bank.clearing.register.found(number, maker=maker_of(bank, keys)), keys)


def currency(
    folder: BankFolder,
    code: Annotated[str, Parameter(help="Code of the currency, such as HKD.")],
    /,
    *,
    zone: Annotated[str, Parameter(help="Time zone of its business day, such as Asia/Hong_Kong.")],
    key: KeyFiles = None,
) -> int:
    """Propose that the house clears another currency. Two officers of the board sign."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        proposal = bank.clearing.register.add_currency(code, zone=zone, maker=maker_of(bank, keys))
        return sign_and_show(bank, proposal, keys)


def admit(
    folder: BankFolder,
    operator: Operator,
    code: Annotated[str, Parameter(help="How messages name it, such as its BIC.")],
    /,
    *,
    message_key: Annotated[str, Parameter(help="Public key with which it signs messages.")],
    currency: Annotated[
        list[str] | None, Parameter(negative="", help="Currency of a position; may be repeated [default: the bank's].")
    ] = None,
    entity: Annotated[str, Parameter(help="Its id in declarations of compliance.")] = "",
    floor: Floor = "0",
    most: Most = "0",
    key: KeyFiles = None,
) -> int:
    """Propose that an operator becomes a participant, with a position in each currency. Two officers sign."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        codes = currency or [code_of(bank, "")]
        if len(codes) > 1 and (floor, most) != ("0", "0"):
            raise UsageError(
                "--floor and --most are amounts of one currency",
                hint="add further positions by `sycee clearing position`",
            )
        proposal = bank.clearing.register.admit(
            operator_number(bank, operator), code, key=named_key(message_key), currencies=codes,
            maker=maker_of(bank, keys), entity=entity, floor_minor=amount_in(bank, floor, codes[0], least=0),
            most_minor=amount_in(bank, most, codes[0], least=0),
        )  # fmt: skip
        return sign_and_show(bank, proposal, keys)


def position(
    folder: BankFolder,
    operator: Operator,
    currency: Annotated[str, Parameter(help="Currency of the position, such as HKD.")],
    /,
    *,
    floor: Floor = "0",
    most: Most = "0",
    key: KeyFiles = None,
) -> int:
    """Propose a position in one more currency for a participant. Two officers sign."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        proposal = bank.clearing.register.add_position(
            operator_number(bank, operator), currency, maker=maker_of(bank, keys),
            floor_minor=amount_in(bank, floor, currency, least=0), most_minor=amount_in(bank, most, currency, least=0),
        )  # fmt: skip
        return sign_and_show(bank, proposal, keys)


def issue(folder: BankFolder, operator: Operator, amount: Amount, /, *, currency: Foreign, key: KeyFiles = None) -> int:
    """Propose to put money of another currency on a position, which its settlement system received.

    Two officers of the board, or of the currency, sign.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        minor, number = amount_in(bank, amount, currency), operator_number(bank, operator)
        proposal = bank.clearing.register.issue(number, currency, minor, maker=maker_of(bank, keys))
        return sign_and_show(bank, proposal, keys)


def line(
    folder: BankFolder,
    operator: Operator,
    amount: Amount,
    /,
    *,
    currency: CurrencyCode = "",
    take: Annotated[bool, Parameter(negative="", help="Take money from the line, and return the reserves.")] = False,
    key: KeyFiles = None,
) -> int:
    """Propose to fill the line of a position, on which it draws: its net debit cap.

    In the bank's currency against as much of the participant's reserves: two officers and the participant's operator
    sign. In another currency two officers of the board, or of the currency. With --take the house's operator and the
    reserve desk.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        minor, number, maker = amount_in(bank, amount, currency), operator_number(bank, operator), maker_of(bank, keys)
        register = bank.clearing.register
        if code_of(bank, currency) != code_of(bank, ""):
            if take:
                raise UsageError(f"a line in {currency} has no reserves at this bank", hint="leave out --take")
            proposal = register.fill(number, currency, minor, maker=maker)
        else:
            proposal = (register.unpledge if take else register.pledge)(number, minor, maker=maker)
        return sign_and_show(bank, proposal, keys)


def floor(
    folder: BankFolder,
    operator: Operator,
    amount: Annotated[str, Parameter(help="What always stays on the position, such as 12.50; 0 for nothing.")],
    /,
    *,
    from_: Annotated[str, Parameter(name="--from", help="Local time from which it counts, in the future.")],
    most: Annotated[str, Parameter(help="Its largest balance from then on; 0 for any [default: as it is].")] = "",
    currency: CurrencyCode = "",
    key: KeyFiles = None,
) -> int:
    """Propose another floor of a position, and another largest balance, from a time on. Two officers sign.

    A position below its new floor still receives, and pays nothing from its own money.
    """
    from sycee.core import money

    keys = signing_keys(key)
    with open_bank(folder) as bank:
        number, code, register = operator_number(bank, operator), code_of(bank, currency), bank.clearing.register
        proposal = register.change_floor(
            number, code, floor_minor=amount_in(bank, amount, code, least=0),
            most_minor=amount_in(bank, most, code, least=0) if most
            else register.position(number, money.currency(code).numeric).most_minor,
            effective_ns=moment(from_, bank.config.text("zone")), maker=maker_of(bank, keys),
        )  # fmt: skip
        return sign_and_show(bank, proposal, keys)


def message_key(
    folder: BankFolder,
    operator: Operator,
    public_key: Annotated[str, Parameter(help="Public key with which the participant signs messages from now on.")],
    /,
    *,
    key: KeyFiles = None,
) -> int:
    """Replace the key with which a participant signs messages. A signer of its operator does.

    Deliveries that the earlier key signed are refused from now on.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        new = named_key(public_key)
        bank.clearing.register.set_key(operator_number(bank, operator), new, who=maker_of(bank, keys))
        show(f"{operator} signs messages by {new}")
    return 0
