"""`sycee clearing`: corridors between currencies, quotes, and their acceptance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, open_bank
from sycee.cli.lazy import ids
from sycee.cli.mint import Amount
from sycee.cli.operator import Operator, operator_number
from sycee.cli.parameters import AsJson, Between
from sycee.cli.proposing import maker_of, sign_and_show, signing_keys
from sycee.cli.terminal import print_list, show

if TYPE_CHECKING:
    from sycee.bank.bank import Bank
    from sycee.clearing.corridors import StoredQuote

Takes: TypeAlias = Annotated[str, Parameter(help="Currency that the participant takes, such as CNY.")]
Gives: TypeAlias = Annotated[str, Parameter(help="Currency that it gives, such as HKD.")]
MessageKey: TypeAlias = Annotated[Path, Parameter(help="File with the private key of the participant's messages.")]
VALID_MAX_S = 86_400
QUOTE_COLUMNS = ("quote", "provider", "takes", "gives", "rate", "least", "left", "until")
QUOTE_NUMBERS = ("rate", "least", "left")


def corridor(
    folder: BankFolder,
    operator: Operator,
    takes: Takes,
    gives: Gives,
    /,
    *,
    most: Annotated[str, Parameter(help="The most that one quote offers, in the first currency; 0 ends the corridor.")],
    valid: Annotated[
        int,
        Parameter(help="Longest validity of a quote, in seconds.", validator=Between("--valid", 1, VALID_MAX_S, 60)),
    ] = 600,
    key: KeyFiles = None,
) -> int:
    """Propose what a participant may quote for a pair of currencies.

    Two persons sign: an officer of each currency, or of the board. It replaces what the participant could quote for the
    pair before.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        proposal = bank.clearing.corridors.open(
            operator_number(bank, operator), takes, gives, most_minor=_minor(most, takes), valid_s=valid,
            maker=maker_of(bank, keys),
        )  # fmt: skip
        return sign_and_show(bank, proposal, keys)


def quote(
    folder: BankFolder,
    operator: Operator,
    takes: Takes,
    gives: Gives,
    rate: Annotated[str, Parameter(help="Units that it gives for one that it takes, such as 1.0912 or 109/100.")],
    /,
    *,
    most: Annotated[str, Parameter(help="The most that is accepted of it together; 0 withdraws the quote before.")],
    least: Annotated[str, Parameter(help="The least of one acceptance.")] = "0",
    valid: Annotated[
        int, Parameter(help="Seconds until it ends.", validator=Between("--valid", 1, VALID_MAX_S, 60))
    ] = 60,
    message_key: MessageKey,
    key: KeyFiles = None,
) -> int:
    """Give a quote: a rate for a pair of currencies, with its amounts and its end. The participant's key signs it.

    It replaces the participant's earlier quote of the pair. A person of its operator delivers.
    """
    from sycee.clearing import instructions
    from sycee.clearing.quotes import Quote, parse_rate
    from sycee.core.keys import SigningKey

    keys, signer = signing_keys(key), SigningKey.load(message_key)
    with open_bank(folder) as bank:
        number, who = operator_number(bank, operator), maker_of(bank, keys)
        made = Quote(
            id=bank.stores.new_id(),
            provider=bank.clearing.register.participant(number).code,
            takes=takes,
            gives=gives,
            rate=parse_rate(rate),
            least_minor=_minor(least, takes),
            most_minor=_minor(most, takes),
            until_ns=bank.stores.clock.now_ns() + valid * 10**9,
        )
        content = made.content()
        signature = instructions.sign(content, signer, ledger_id=bank.stores.ledger.ledger_id, participant=number)
        stored = bank.clearing.corridors.quote(number, content, signature, who=who)
        row = _row(bank, stored)
        show(f"quote {ids.format(stored.id)}: {row['rate']} {gives} for 1 {takes}, until {row['until']}")
    return 0


def quotes(folder: BankFolder, /, *, json_: AsJson = False) -> int:
    """List the quotes that may be accepted now."""
    with open_bank(folder) as bank:
        rows = [_row(bank, each) for each in bank.clearing.corridors.current()]
    return print_list("quotes", rows, *QUOTE_COLUMNS, numbers=QUOTE_NUMBERS, as_json=json_)


def accept(
    folder: BankFolder,
    operator: Operator,
    quote: Annotated[str, Parameter(name="QUOTE", help="Id of the quote, as `sycee clearing quotes` shows it.")],
    amount: Amount,
    /,
    *,
    message_key: MessageKey,
    key: KeyFiles = None,
) -> int:
    """Accept a quote for an amount of the currency that its provider takes: a payment against payment is queued.

    The participant's key signs, and a person of its operator delivers. A quote that ended or was replaced is refused.
    """
    import uuid

    from sycee.clearing import instructions
    from sycee.core import money
    from sycee.core.keys import SigningKey

    keys, signer = signing_keys(key), SigningKey.load(message_key)
    with open_bank(folder) as bank:
        number, who = operator_number(bank, operator), maker_of(bank, keys)
        corridors = bank.clearing.corridors
        found = corridors.get(ids.parse(quote))
        takes, gives = (money.currency_of(each) for each in (found.takes, found.gives))
        made = corridors.acceptance(number, found.id, money.parse(amount, takes), uetr=str(uuid.uuid4()))
        content = made.content()
        signature = instructions.sign(content, signer, ledger_id=bank.stores.ledger.ledger_id, participant=number)
        payment = corridors.accept(number, content, signature, who=who)
        show(
            f"payment {payment}, {made.uetr}: pays {money.with_code(made.pays_minor, takes)}, "
            f"gets {money.with_code(made.gets_minor, gives)}"
        )
    return 0


def _minor(text: str, code: str) -> int:
    from sycee.core import money

    return money.parse(text, money.currency(code))


def _row(bank: Bank, each: StoredQuote) -> dict[str, Any]:
    from sycee.cli.bank_options import local_time
    from sycee.core import money

    takes = money.currency_of(each.takes)
    return {
        "quote": ids.format(each.id),
        "provider": bank.clearing.register.participant(each.provider).code,
        "takes": takes.code,
        "gives": money.currency_code(each.gives),
        "rate": str(each.rate),
        "least": money.format(each.least_minor, takes),
        "left": money.format(each.left_minor, takes),
        "until": local_time(each.until_ns, bank.config.text("zone")),
    }
