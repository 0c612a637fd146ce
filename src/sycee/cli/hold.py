"""`sycee hold`: hold money for a payee, and take or release it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import App, Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, local_time, moment, open_bank, positive_amount
from sycee.cli.lazy import ids
from sycee.cli.parameters import AsJson
from sycee.cli.proposing import maker_of, signing_keys
from sycee.cli.terminal import note, print_list, show
from sycee.cli.wallet_options import (
    AmountText,
    RefusedPayment,
    Signing,
    WalletName,
    account_named,
    own_account,
    require_paid,
    signing_for,
)
from sycee.core import money

if TYPE_CHECKING:
    from sycee.bank.bank import Bank
    from sycee.core.keys import SigningKey

app = App(name="hold", help="Hold money of a wallet for a payee, and take or release it.")

HoldId: TypeAlias = Annotated[str, Parameter(help="Id of the hold.")]
Until: TypeAlias = Annotated[
    str, Parameter(help="Local time at which the hold ends, such as 2026-11-05T12:00; then the money is free again.")
]


@app.command
def new(
    folder: BankFolder,
    payer: WalletName,
    payee: Annotated[str, Parameter(help="The wallet that may take the money: as PAYER.")],
    amount: AmountText,
    /,
    *,
    until: Until,
    reference: Annotated[str, Parameter(help="Text for both sides, up to 35 characters, stored encrypted.")] = "",
    till: Annotated[str | None, Parameter(help="Code of the merchant's till, or OUTLET/TILL.")] = None,
    order: Annotated[str, Parameter(help="The merchant's order, which is paid once.")] = "",
    key: KeyFiles = None,
) -> int:
    """Hold an amount of a wallet, whose key signs, for a payee. The payee's name is shown before it is signed."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        account = own_account(bank, payer, keys)
        signing = signing_for(bank, account, keys)
        found, name = account_named(bank, payee, by=signing.who)
        minor = positive_amount(bank, amount)
        shown = money.with_code(minor, bank.config.currency)
        note(f"holding {shown} for {name}")
        reserved = bank.holds.reserve(
            account,
            found,
            minor,
            until_ns=moment(until, bank.config.text("zone")),
            signers=signing.signers,
            who=signing.who,
            text=reference,
            till=bank.institutions.find_till(bank.directory.holder_of(found), till).id if till else 0,
            order=order,
        )
        if not reserved.is_held:
            raise RefusedPayment("nothing is held", reserved.answer)
        show(f"hold {ids.format(reserved.hold)}: {shown} until {until}")
    return 0


@app.command
def post(
    folder: BankFolder,
    hold: HoldId,
    amount: Annotated[str | None, Parameter(help="Amount to take, such as 12.50; without it all that is held.")] = None,
    /,
    *,
    till: Annotated[str | None, Parameter(help="Code of the payee's till, or OUTLET/TILL, if not the hold's.")] = None,
    key: KeyFiles = None,
) -> int:
    """Take all or a part of a hold; the rest is released. The payee's key signs."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        found = bank.holds.get(ids.parse(hold))
        minor = positive_amount(bank, amount) if amount is not None else found.minor
        signing = _payee(bank, found.payee, keys)
        place = bank.institutions.find_till(bank.directory.holder_of(found.payee), till).id if till else 0
        paid = bank.holds.post(found.id, minor, signers=signing.signers, who=signing.who, till=place)
        require_paid(paid, "nothing was paid")
        shown = money.with_code(minor, bank.config.currency)
        show(f"paid {shown}: operation {ids.format(paid.operation)}")
    return 0


@app.command
def void(folder: BankFolder, hold: HoldId, /, *, key: KeyFiles = None) -> int:
    """Release a hold without taking anything. The payee's key signs."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        found = bank.holds.get(ids.parse(hold))
        signing = _payee(bank, found.payee, keys)
        bank.holds.void(found.id, signers=signing.signers, who=signing.who)
        show("the hold is released")
    return 0


@app.command
def extend(folder: BankFolder, hold: HoldId, /, *, until: Until, key: KeyFiles = None) -> int:
    """Set a later end of a hold. The payer's key signs."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        found = bank.holds.get(ids.parse(hold))
        signing = signing_for(bank, found.payer, keys)
        end_ns = moment(until, bank.config.text("zone"))
        bank.holds.extend(found.id, end_ns, signers=signing.signers, who=signing.who)
        show(f"the hold ends at {until}")
    return 0


@app.command(name="list")
def list_(folder: BankFolder, wallet: WalletName, /, *, key: KeyFiles = None, json_: AsJson = False) -> int:
    """List the holds that a wallet has as payer or payee, the oldest first. The wallet's key is needed."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        account = own_account(bank, wallet, keys)
        signing_for(bank, account, keys)
        currency = bank.config.currency
        rows = [
            {
                "hold": ids.format(each.id),
                "payer": bank.aliases.name_of(each.payer),
                "payee": bank.aliases.name_of(each.payee),
                "amount": money.format(each.minor, currency),
                "held": money.format(each.held_minor, currency),
                "paid": money.format(each.posted_minor, currency),
                "order": each.order,
                "text": each.text,
                "until": local_time(each.until_ns, bank.config.text("zone")),
                "state": each.state,
            }
            for each in bank.holds.of_account(account)
        ]
    columns = ("hold", "payer", "payee", "amount", "held", "paid", "order", "text", "until", "state")
    return print_list("holds", rows, *columns, numbers=("amount", "held", "paid"), as_json=json_)


def _payee(bank: Bank, payee: int, keys: Sequence[SigningKey]) -> Signing:
    """Return who signs for a payee. For a merchant's own key, the person who has it acts."""
    signing = signing_for(bank, payee, keys)
    if bank.people.state_of(signing.who) is None:
        return Signing(signing.signers, maker_of(bank, keys))
    return signing
