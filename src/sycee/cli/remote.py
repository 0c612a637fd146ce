"""Commands that a server performs, chosen by the option --server: no data folder is on this machine."""

from __future__ import annotations

from time import sleep
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import App, Parameter

from sycee.cli import (
    remote_bulk,
    remote_clearing,
    remote_day,
    remote_drop,
    remote_institutions,
    remote_issuance,
    remote_money,
    remote_office,
    remote_personal,
    remote_requests,
    remote_vouchers,
    remote_wallets,
)
from sycee.cli.lazy import api, ids
from sycee.cli.parameters import AsJson, convert
from sycee.cli.remote_options import (
    ActionId,
    AmountText,
    KeyFile,
    Login,
    Operator,
    OrderNumber,
    TextForBoth,
    Till,
    WalletId,
    connected,
    currency_of,
    minor_of,
    number_of,
    perform,
    private_key,
    propose,
    signer_of,
)
from sycee.cli.terminal import console, note, print_table, show, show_json, table
from sycee.core import money
from sycee.core.errors import IntegrityError, SyceeError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sycee.client import Call, Client

POLL_S: Final = 0.5  # between two requests for the progress of a backup

app = App(
    name="sycee",
    help="Commands that a server performs: sycee COMMAND --server URL.",
    default_parameter=Parameter(converter=convert),
)


@app.command
def supply(*, login: Login, json_: AsJson = False) -> int:
    """Show the money in circulation and the reserves behind it, without a login."""
    with connected(login) as bank:
        found = bank.do(api.supply())
        currency = money.currency(found["currency"])
    if json_:
        show_json(found)
        return 0
    for name, member in (("supply", "supply"), ("converted reserves", "converted_reserves")):
        show(f"{name}: {money.with_code(int(found[member]), currency)}")
    show(f"as of frame {found['frame']}, {found['time']}", f"frame digest {found['frame_digest']}")
    if not found["equal"]:
        raise IntegrityError("the money in circulation does not equal the converted reserves")
    return 0


@app.command
def statement(
    wallet: WalletId, /, *, login: Login,
    lines: Annotated[int, Parameter(help="Number of lines, newest first.")] = 50, json_: AsJson = False,
) -> int:  # fmt: skip
    """Show the newest lines of a wallet."""
    from dataclasses import asdict
    from itertools import islice

    if lines < 1:
        raise UsageError(f"--lines must be 1 or more; got {lines}", hint="name a number such as 50")
    with connected(login) as bank:
        currency = money.currency(bank.do(api.wallet(wallet)).currency)
        found = list(islice(bank.rows(api.statement(wallet)), lines))
    if json_:
        show_json({"wallet": wallet, "lines": [asdict(each) for each in found]})
        return 0
    made = table("time", "purpose", "amount", "balance", "counterparty", "text", numbers=("amount", "balance"))
    for each in found:
        made.add_row(
            each.time,
            each.purpose.lower().replace("_", " "),
            money.format(each.amount_minor, currency),
            money.format(each.balance_minor, currency),
            each.counterparty or "a packet",
            each.text,
        )
    print_table(made)
    return 0


@app.command
def pay(
    payer: WalletId,
    payee: Annotated[str, Parameter(help="Id of the wallet that is paid; with a login also a phone or a @handle.")],
    amount: AmountText, /, *,
    login: Login, key: KeyFile = None, reference: TextForBoth = "", till: Till = "", order: OrderNumber = "",
    key_epoch: Annotated[
        int, Parameter(help="Without a login: how often the wallet's key was set.")
    ] = 1,
    id_: ActionId = "",
) -> int:  # fmt: skip
    """Pay from a wallet. Without --client, the wallet's key is the authority, and the payment has no text.

    The records are compared with the payment before they are signed.
    """
    with connected(login) as bank:
        from sycee.client import Signer

        number, private = number_of(id_), private_key(key)
        if login.client is None:
            if reference or till or order:
                raise UsageError(
                    "a text, a till or an order needs a login", hint="name --client and --client-key, or leave it out"
                )
            signing = bank.do(api.payer(Signer.of(payer, private), key_epoch=key_epoch))
            currency = money.currency_of(signing.currency)
            call: Call[Any] = api.pay_signed(signing, payee, minor_of(amount, currency), id=number)
        else:
            found = bank.do(api.wallet(payer))
            currency = money.currency(found.currency)
            to, name = payee, payee
            if payee.startswith(("@", "+")):
                resolved = bank.do(api.resolve(payee))
                to, name = resolved.wallet, resolved.name
            note(f"paying {amount} {currency.code} to {name}")
            call = api.pay(
                payer, to, minor_of(amount, currency), text=reference, till=till, order=order,
                signer=signer_of(bank, found, private), id=number,
            )  # fmt: skip
        perform(bank, call)
    show(f"paid {amount} {currency.code}: operation {call.id}")
    return 0


@app.command
def refund(
    merchant: Annotated[str, Parameter(help="Id of the merchant's account.")],
    payment: Annotated[str, Parameter(help="Number of the order, or the id of its payment.")],
    amount: AmountText, /, *,
    login: Login, key: KeyFile = None,
    till: Till = "", id_: ActionId = "",
) -> int:  # fmt: skip
    """Refund a part, or all, of the payment of an order. The money returns to its sources."""
    with connected(login) as bank:
        number, private = number_of(id_), private_key(key)
        found = bank.do(api.wallet(merchant))
        currency = money.currency(found.currency)
        call = api.refund(
            _payment(bank, merchant, payment), minor_of(amount, currency), merchant, till=till,
            signer=signer_of(bank, found, private), id=number,
        )  # fmt: skip
        perform(bank, call)
    show(f"refunded {amount} {currency.code}: operation {call.id}")
    return 0


@app.command
def backup(
    *, login: Login, id_: ActionId = "", json_: AsJson = False
) -> int:  # fmt: skip
    """Let the server write an encrypted backup to the folder of its settings, and wait until it is complete."""
    with connected(login) as bank:
        currency = currency_of(bank)
        call = api.begin_backup(id=number_of(id_))
        perform(bank, call)
        with console(stderr=True).status("writing the backup") as status:
            while (found := bank.do(api.backup(call.id))).state == "running":
                status.update(f"writing the backup: {found.written_bytes / 1e6:,.0f} MB")
                sleep(POLL_S)
    if found.state == "failed" or found.frame is None or found.supply_minor is None:
        raise SyceeError(
            f"the backup {call.id} failed: {found.reason}", hint="sycee backup --server begins another one"
        )
    if json_:
        show_json(
            {
                "backup": found.id,
                "file": found.file,
                "bytes": found.written_bytes,
                "frame": found.frame,
                "state_digest": found.state_digest,
                "supply": money.format(found.supply_minor, currency),
            }
        )
        return 0
    show(
        f"{found.file} has the bank up to frame {found.frame:,}, and its database",
        f"in circulation: {money.with_code(found.supply_minor, currency)}",
        f"state digest {found.state_digest}",
    )
    return 0


@app.command
def mint(operator: Operator, amount: AmountText, /, *, login: Login, id_: ActionId = "") -> int:
    """Propose to issue money to an operator against its reserves. Two officers and the operator sign."""
    return _propose(login, amount, lambda minor: api.propose_mint(operator, minor, id=number_of(id_)))


@app.command
def redeem(operator: Operator, amount: AmountText, /, *, login: Login, id_: ActionId = "") -> int:
    """Propose to take money back from an operator and return its reserves. The operator and the reserve desk sign."""
    return _propose(login, amount, lambda minor: api.propose_redemption(operator, minor, id=number_of(id_)))


def _propose(login: Login, amount: str, call: Callable[[int], Call[Any]]) -> int:
    with connected(login) as bank:
        propose(bank, call(minor_of(amount, currency_of(bank))))
    return 0


def _payment(bank: Client, merchant: str, text: str) -> str:
    """Return the payment of an order. Raises UsageError for an order that was not paid."""
    if len(text) == len(ids.format(0)):
        return text
    found = bank.do(api.order(merchant, text))
    if found.payment is None:
        raise UsageError(f"order {text} is {found.state}, not paid", hint="only a payment can be refunded")
    return found.payment


for _group in (
    *remote_wallets.groups, *remote_requests.groups, *remote_money.groups, *remote_office.groups,
    *remote_institutions.groups, *remote_issuance.groups, remote_personal.person, remote_day.day,
    remote_bulk.bulk, remote_clearing.clearing, remote_drop.drop, remote_vouchers.voucher,
):  # fmt: skip
    app.command(_group)
