"""Requests to pay and holds over a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import Parameter

from sycee.cli.lazy import api
from sycee.cli.parameters import AsJson
from sycee.cli.remote_options import (
    ActionId,
    AmountText,
    KeyFile,
    Login,
    OrderNumber,
    TextForBoth,
    Till,
    Until,
    WalletId,
    connected,
    currency_of,
    group,
    instant,
    minor_of,
    number_of,
    perform,
    private_key,
    show_rows,
    signer_of,
)
from sycee.cli.terminal import note, show
from sycee.core import money
from sycee.core.output_files import require_outputs, write_file

if TYPE_CHECKING:
    from sycee.client import Client, Signer

RequestId: TypeAlias = Annotated[str, Parameter(name="REQUEST", help="Id of the request.")]
HoldId: TypeAlias = Annotated[str, Parameter(name="HOLD", help="Id of the hold.")]

request = group("request", "Ask for a payment, and pay or decline such a request.")
hold = group("hold", "Hold money of a wallet for a payee, and take or release it.")
groups = (request, hold)


@request.command
def new(
    payee: WalletId, amount: AmountText, /, *, login: Login, until: Until,
    payer: Annotated[str, Parameter(help="The only wallet that may pay; without it anybody may.")] = "",
    reference: TextForBoth = "", till: Till = "", order: OrderNumber = "",
    till_key: Annotated[Path | None, Parameter(help="Private key of the till, which then signs.")] = None,
    key: KeyFile = None, id_: ActionId = "",
) -> int:  # fmt: skip
    """Ask for an amount. The payee's key signs, or the till's, or a person of the operator of a custodial wallet."""
    from sycee.client import Signer

    expires_ns = instant(until)
    with connected(login) as bank:
        currency, at = currency_of(bank), Signer.of(till, private_key(till_key)) if till_key else till
        signer = None if till_key else signer_of(bank, bank.do(api.wallet(payee)), private_key(key))
        made = perform(
            bank,
            api.ask(
                payee, minor_of(amount, currency), expires_ns=expires_ns, payer=payer, text=reference, till=at,
                order=order, signer=signer, id=number_of(id_),
            ),
        )  # fmt: skip
    show(f"request {made.request}: {amount} {currency.code} until {until}")
    return 0


@request.command(name="list")
def list_requests(
    wallet: WalletId, /, *, login: Login,
    asked: Annotated[bool, Parameter(negative="", help="Show the requests that the wallet made instead.")] = False,
    json_: AsJson = False,
) -> int:  # fmt: skip
    """List the open requests that name a wallet as the payer, or all that it made."""
    with connected(login) as bank:
        columns = ("request", "payee", "minor", "order", "text", "state")
        call = api.requests(wallet, "payee" if asked else "payer")
        show_rows(bank, "requests", call, columns, as_json=json_)
    return 0


@request.command
def pay(
    id: RequestId, wallet: WalletId, /, *, login: Login, key: KeyFile = None, id_: ActionId = ""
) -> int:  # fmt: skip
    """Pay a request from a wallet, whose key signs. Payee and amount are shown, and compared with what is signed."""
    with connected(login) as bank:
        found, private = bank.do(api.request(id)), private_key(key)
        currency = money.currency(found.currency)
        shown = money.with_code(found.minor, currency)
        note(f"paying {shown} to {found.payee}")
        signer = signer_of(bank, bank.do(api.wallet(wallet)), private)
        call = api.pay_request(id, wallet, found.payee, found.minor, signer=signer, id=number_of(id_))
        paid = perform(bank, call)
    show(f"paid {shown}: operation {paid.payment}")
    return 0


@request.command
def decline(id: RequestId, /, *, login: Login, id_: ActionId = "") -> int:
    """Decline a request, as the holder of the payer's wallet."""
    with connected(login) as bank:
        perform(bank, api.decline_request(id, id=number_of(id_)))
    show("the request is declined")
    return 0


@request.command
def withdraw(id: RequestId, /, *, login: Login, id_: ActionId = "") -> int:
    """Withdraw a request, as the holder of the payee's wallet or a person of its operator."""
    with connected(login) as bank:
        perform(bank, api.withdraw_request(id, id=number_of(id_)))
    show("the request is withdrawn")
    return 0


@request.command
def qr(
    id: RequestId, /, *, login: Login,
    png: Annotated[Path | None, Parameter(help="Write the QR code to this PNG file.")] = None,
    svg: Annotated[Path | None, Parameter(help="Write the QR code to this SVG file.")] = None,
) -> int:  # fmt: skip
    """Print the text of a request's QR code, and write its picture."""
    require_outputs({"--png": png, "--svg": svg})
    with connected(login) as bank:
        text = bank.do(api.request_qr(id)).decode()
        if png is not None:
            write_file(png, bank.do(api.request_qr(id, "png")))
        if svg is not None:
            write_file(svg, bank.do(api.request_qr(id, "svg")))
    show(text)
    return 0


# --- holds ---


@hold.command(name="new")
def new_hold(
    payer: WalletId, payee: Annotated[str, Parameter(help="Id of the wallet that may take the money.")],
    amount: AmountText, /, *, login: Login, until: Until, reference: TextForBoth = "", till: Till = "",
    order: OrderNumber = "", key: KeyFile = None, id_: ActionId = "",
) -> int:  # fmt: skip
    """Hold an amount of a wallet, whose key signs, for a payee."""
    until_ns = instant(until)
    with connected(login) as bank:
        signer, currency = _signer(bank, payer, key), currency_of(bank)
        made = perform(
            bank,
            api.hold(
                payer, payee, minor_of(amount, currency), until_ns=until_ns, text=reference, till=till,
                order=order, signer=signer, id=number_of(id_),
            ),
        )  # fmt: skip
    show(f"hold {made.hold}: {amount} {currency.code} until {until}")
    return 0


@hold.command
def post(
    id: HoldId,
    amount: Annotated[str, Parameter(help="Amount to take, such as 12.50; without it all that is held.")] = "",
    /, *, login: Login, till: Till = "", key: KeyFile = None, id_: ActionId = "",
) -> int:  # fmt: skip
    """Take all or a part of a hold; the rest is released. The payee's key signs."""
    with connected(login) as bank:
        found, currency = bank.do(api.held(id)), currency_of(bank)
        minor = minor_of(amount, currency) if amount else found.minor
        signer = _signer(bank, found.payee, key)
        taken = perform(bank, api.post_hold(id, found.payee, minor, till=till, signer=signer, id=number_of(id_)))
    show(f"paid {money.with_code(minor, currency)}: operation {taken.payment}")
    return 0


@hold.command
def void(id: HoldId, /, *, login: Login, key: KeyFile = None, id_: ActionId = "") -> int:
    """Release a hold without taking anything. The payee's key signs."""
    with connected(login) as bank:
        payee = bank.do(api.held(id)).payee
        perform(bank, api.void_hold(id, payee, signer=_signer(bank, payee, key), id=number_of(id_)))
    show("the hold is released")
    return 0


@hold.command
def extend(id: HoldId, /, *, login: Login, until: Until, key: KeyFile = None, id_: ActionId = "") -> int:
    """Set a later end of a hold. The payer's key signs."""
    until_ns = instant(until)
    with connected(login) as bank:
        payer = bank.do(api.held(id)).payer
        signer = _signer(bank, payer, key)
        perform(bank, api.extend_hold(id, payer, until_ns, signer=signer, id=number_of(id_)))
    show(f"the hold ends at {until}")
    return 0


@hold.command(name="list")
def list_holds(wallet: WalletId, /, *, login: Login, json_: AsJson = False) -> int:
    """List the holds that a wallet has as payer or payee."""
    with connected(login) as bank:
        columns = ("hold", "payer", "payee", "minor", "held_minor", "posted_minor", "order", "text", "state")
        show_rows(bank, "holds", api.holds(wallet), columns, as_json=json_)
    return 0


def _signer(bank: Client, wallet: str, key: Path | None) -> Signer:
    """Return who signs for a wallet. A side whose account this program may not see has its own key."""
    return signer_of(bank, bank.do(api.wallet(wallet)), private_key(key))
