"""Corridors over a server: `sycee clearing corridor`, `quote`, `quotes` and `accept` with the option --server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter

from sycee.cli.clearing_corridors import QUOTE_COLUMNS, QUOTE_NUMBERS, VALID_MAX_S, Gives, MessageKey, Takes
from sycee.cli.lazy import api, ids
from sycee.cli.parameters import AsJson, Between
from sycee.cli.remote_options import (
    ActionId,
    AmountText,
    Login,
    Operator,
    connected,
    number_of,
    propose,
)
from sycee.cli.terminal import note, print_list, show
from sycee.core import money
from sycee.core.errors import UsageError

if TYPE_CHECKING:
    from sycee.client import Client
    from sycee.client.values import QuoteRow
    from sycee.core.keys import SigningKey

Uetr: TypeAlias = Annotated[str, Parameter(help="UETR of an earlier attempt without an answer, which is repeated.")]


def corridor(
    operator: Operator, takes: Takes, gives: Gives, /, *, login: Login,
    most: Annotated[str, Parameter(help="The most that one quote offers, in the first currency; 0 ends the corridor.")],
    valid: Annotated[
        int,
        Parameter(help="Longest validity of a quote, in seconds.", validator=Between("--valid", 1, VALID_MAX_S, 60)),
    ] = 600,
    id_: ActionId = "",
) -> int:  # fmt: skip
    """Propose what a participant may quote for a pair of currencies.

    Two persons sign: an officer of each currency, or of the board.
    """
    minor = money.parse(most, money.currency(takes))
    with connected(login) as bank:
        propose(bank, api.propose_corridor(operator, takes, gives, most_minor=minor, valid_s=valid, id=number_of(id_)))
    return 0


def quote(
    operator: Operator, takes: Takes, gives: Gives,
    rate: Annotated[str, Parameter(help="Units that it gives for one that it takes, such as 1.0912 or 109/100.")],
    /, *, login: Login,
    most: Annotated[str, Parameter(help="The most that is accepted of it together; 0 withdraws the quote before.")],
    least: Annotated[str, Parameter(help="The least of one acceptance.")] = "0",
    valid: Annotated[
        int, Parameter(help="Seconds until it ends.", validator=Between("--valid", 1, VALID_MAX_S, 60))
    ] = 60,
    message_key: MessageKey,
) -> int:  # fmt: skip
    """Give a quote: a rate for a pair of currencies, with its amounts and its end. The participant's key signs it.

    It replaces the participant's earlier quote of the pair.
    """
    from sycee.clearing.quotes import Quote, parse_rate
    from sycee.core.clock import RealClock
    from sycee.core.keys import SigningKey

    key, _ = SigningKey.load(message_key), money.currency(gives)
    currency, exact, now_ns = money.currency(takes), parse_rate(rate), RealClock().now_ns()
    least_minor, most_minor = money.parse(least, currency), money.parse(most, currency)
    with connected(login) as bank:
        code = bank.do(api.clearing_participant(operator)).code
        until_ns = now_ns + valid * 10**9
        made = Quote(ids.new(now_ns // 1_000_000), code, takes, gives, exact, least_minor, most_minor, until_ns)
        content = made.content()
        stored = bank.do(api.give_quote(operator, content, _signature(bank, operator, content, key)))
    row = _row(stored)
    show(f"quote {row['quote']}: {row['rate']} {gives} for 1 {takes}, until {row['until']}")
    return 0


def quotes(operator: Operator, /, *, login: Login, json_: AsJson = False) -> int:
    """List the quotes of all participants that may be accepted now."""
    with connected(login) as bank:
        rows = [_row(each) for each in bank.do(api.quotes(operator))]
    return print_list("quotes", rows, *QUOTE_COLUMNS, numbers=QUOTE_NUMBERS, as_json=json_)


def accept(
    operator: Operator,
    quote: Annotated[str, Parameter(name="QUOTE", help="Id of the quote, as `sycee clearing quotes` shows it.")],
    amount: AmountText, /, *, login: Login, message_key: MessageKey, uetr: Uetr = "",
) -> int:  # fmt: skip
    """Accept a quote for an amount of the currency that its provider takes: a payment against payment is queued.

    The participant's key signs. A quote that ended or was replaced is refused.
    """
    import uuid

    from sycee.clearing.quotes import Acceptance
    from sycee.client import LostConnection, NotTaken, TooManyRequests
    from sycee.core.keys import SigningKey
    from sycee.iso20022.forms import UETR

    key, own = SigningKey.load(message_key), uetr or str(uuid.uuid4())
    if UETR.problem(own):
        raise UsageError(f"{own[:40]!r} is no UETR", hint=f"write {UETR.right}")
    with connected(login) as bank:
        found = bank.do(api.quote(operator, quote))
        offered = _signed_quote(found)
        pays = money.parse(amount, money.currency(found.takes))
        taker = bank.do(api.clearing_participant(operator)).code
        content = Acceptance(offered.id, found.digest, taker, own, pays, offered.given(pays)).content()
        call = api.accept_quote(operator, content, _signature(bank, operator, content, key))
        try:
            paid = bank.do(call)
        except (LostConnection, NotTaken, TooManyRequests) as error:
            note(f"note: the same command with --uetr {own} repeats this attempt; the server acts once")
            raise error
    show(
        f"payment {paid.number}, {paid.uetr}: pays {_amount(paid.amount_minor, paid.currency)}, "
        f"gets {_amount(paid.back_amount_minor or 0, paid.back_currency or found.gives)}"
    )
    return 0


def _signature(bank: Client, operator: int, content: bytes, key: SigningKey) -> bytes:
    """Return the participant's signature over a text, for the server's ledger."""
    from sycee.clearing import instructions

    ledger_id = bytes.fromhex(bank.do(api.supply())["ledger"])
    return instructions.sign(content, key, ledger_id=ledger_id, participant=operator)


def _signed_quote(found: QuoteRow) -> Any:
    """Return a quote as its provider signed it. Raises ContradictsRequest if its digest is another text's."""
    from sycee.clearing.quotes import Quote
    from sycee.client import ContradictsRequest

    signed = Quote(
        ids.parse(found.id), found.provider, found.takes, found.gives, found.rate, found.least_minor, found.most_minor,
        found.until_ns,
    )  # fmt: skip
    if signed.digest != found.digest:
        raise ContradictsRequest(
            f"the digest of the quote {found.id} is {found.digest}, and its members have {signed.digest}",
            hint="do not accept it; call the clearing house",
        )
    return signed


def _row(each: QuoteRow) -> dict[str, Any]:
    from sycee.core.timestamps import utc_text

    takes = money.currency(each.takes)
    return {
        "quote": each.id,
        "provider": each.provider,
        "takes": each.takes,
        "gives": each.gives,
        "rate": str(each.rate),
        "least": money.format(each.least_minor, takes),
        "left": money.format(each.left_minor, takes),
        "until": utc_text(each.until_ns),
    }


def _amount(minor: int, code: str) -> str:
    return f"{money.format(minor, money.currency(code))} {code}"
