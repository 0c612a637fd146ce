"""`sycee request`: ask for a payment, and answer such a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import App, Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, local_time, moment, open_bank, positive_amount
from sycee.cli.lazy import ids
from sycee.cli.parameters import AsJson
from sycee.cli.proposing import signing_keys
from sycee.cli.qr_options import PngFile, SvgFile, write_code
from sycee.cli.terminal import print_list, show
from sycee.cli.wallet_options import (
    AmountText,
    WalletName,
    account_named,
    own_account,
    person_of,
    require_paid,
    signing_for,
)
from sycee.core import money
from sycee.core.output_files import require_outputs

if TYPE_CHECKING:
    from sycee.bank.bank import Bank
    from sycee.wallets.requests import Request

app = App(name="request", help="Ask for a payment, and pay or decline such a request.")

RequestId: TypeAlias = Annotated[str, Parameter(help="Id of the request.")]


@app.command
def new(
    folder: BankFolder,
    payee: WalletName,
    amount: AmountText,
    /,
    *,
    until: Annotated[str, Parameter(help="Local time at which the request expires, such as 2026-11-02T18:00.")],
    payer: Annotated[str | None, Parameter(help="The only wallet that may pay; without it anybody may.")] = None,
    reference: Annotated[str, Parameter(help="Text for the payer, up to 35 characters, stored encrypted.")] = "",
    till: Annotated[str | None, Parameter(help="Code of the merchant's till, or OUTLET/TILL.")] = None,
    order: Annotated[str, Parameter(help="The merchant's order, which is paid once.")] = "",
    png: PngFile = None,
    svg: SvgFile = None,
    key: KeyFiles = None,
) -> int:
    """Ask for an amount. The payee's key signs, or the till's, or a person of the operator of a custodial wallet."""
    from sycee.bank.qr_codes import request_code

    require_outputs({"--png": png, "--svg": svg}, outside=folder)
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        account = own_account(bank, payee, keys)
        holder = bank.directory.holder_of(account)
        made = bank.requests.ask(
            account,
            positive_amount(bank, amount),
            key=keys[0],
            expires_ns=moment(until, bank.config.text("zone")),
            payer=account_named(bank, payer, by=holder)[0] if payer else 0,
            text=reference,
            till=bank.institutions.find_till(holder, till).id if till else 0,
            order=order,
        )
        show(f"request {ids.format(made.id)}: {amount} {bank.config.currency.code} until {until}")
        write_code(request_code(bank, made), png, svg)
    return 0


@app.command(name="list")
def list_(
    folder: BankFolder,
    wallet: WalletName,
    /,
    *,
    asked: Annotated[bool, Parameter(negative="", help="Show the requests that the wallet made instead.")] = False,
    key: KeyFiles = None,
    json_: AsJson = False,
) -> int:
    """List the open requests that name a wallet as the payer, or all that it made. The wallet's key is needed."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        account = own_account(bank, wallet, keys)
        signing_for(bank, account, keys)
        found = bank.requests.of_payee(account) if asked else bank.requests.open_for(account)
        rows = [_members(bank, each) for each in found]
    columns = ("request", "payee", "amount", "order", "text", "until", "state")
    return print_list("requests", rows, *columns, keys=columns, numbers=("amount",), as_json=json_)


@app.command
def pay(folder: BankFolder, request: RequestId, wallet: WalletName, /, *, key: KeyFiles = None) -> int:
    """Pay a request from a wallet, whose key signs. A request that was changed after it was signed is refused."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        account = own_account(bank, wallet, keys)
        signing = signing_for(bank, account, keys)
        number = ids.parse(request)
        minor = bank.requests.get(number).minor
        paid = bank.requests.pay(number, account, signers=signing.signers, who=signing.who)
        require_paid(paid, "nothing was paid")
        shown = money.with_code(minor, bank.config.currency)
        show(f"paid {shown}: operation {ids.format(paid.operation)}")
    return 0


@app.command
def decline(folder: BankFolder, request: RequestId, /, *, key: KeyFiles = None) -> int:
    """Decline a request. The key is that of the payer's wallet."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        bank.requests.decline(ids.parse(request), by=person_of(bank, keys[0]))
        show("the request is declined")
    return 0


@app.command
def withdraw(folder: BankFolder, request: RequestId, /, *, key: KeyFiles = None) -> int:
    """Withdraw a request. The key is that of the payee's wallet, or of a person of its operator."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        bank.requests.withdraw(ids.parse(request), by=person_of(bank, keys[0]))
        show("the request is withdrawn")
    return 0


@app.command
def qr(folder: BankFolder, request: RequestId, /, *, png: PngFile = None, svg: SvgFile = None) -> int:
    """Print the text of a request's QR code, and write its picture."""
    from sycee.bank.qr_codes import request_code

    require_outputs({"--png": png, "--svg": svg}, outside=folder)
    with open_bank(folder) as bank:
        text = request_code(bank, bank.requests.get(ids.parse(request)))
        show(text)
        write_code(text, png, svg)
    return 0


def _members(bank: Bank, request: Request) -> dict[str, Any]:
    return {
        "request": ids.format(request.id),
        "payee": bank.aliases.name_of(request.payee),
        "wallet": ids.format(request.payee),
        "amount": money.format(request.minor, bank.config.currency),
        "order": request.order,
        "text": request.text,
        "until": local_time(request.expires_ns, bank.config.text("zone")),
        "state": request.state,
    }
