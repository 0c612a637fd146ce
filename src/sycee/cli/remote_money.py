"""Money between wallets and banks, and merchants, over a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter

from sycee.cli.lazy import api
from sycee.cli.parameters import AsJson
from sycee.cli.remote_options import (
    ActionId,
    AmountText,
    KeyFile,
    Login,
    Operator,
    PersonKey,
    Reference,
    Till,
    WalletId,
    connected,
    currency_of,
    group,
    minor_of,
    number_of,
    perform,
    person_of,
    private_key,
    show_rows,
    signer_of,
)
from sycee.cli.remote_wallets import opening_of
from sycee.cli.terminal import show, show_json
from sycee.core import money
from sycee.core.errors import UsageError
from sycee.core.output_files import require_outputs, write_file
from sycee.core.words import quantity

if TYPE_CHECKING:
    from sycee.client import Client

SweepReference: TypeAlias = Annotated[str, Parameter(help="Bank reference of the sweep.")]
MerchantId: TypeAlias = Annotated[str, Parameter(name="MERCHANT", help="Id of the merchant.")]

funding = group("funding", "Move money between wallets and their holders' banks.")
merchant = group(
    "merchant", "Open accounts of merchants; show their orders, days and QR codes, and sweep their balances."
)
groups = (funding, merchant)


@funding.command(name="to-wallet")
def to_wallet(
    wallet: WalletId, amount: AmountText, reference: Reference, /, *, login: Login, key: PersonKey, id_: ActionId = ""
) -> int:  # fmt: skip
    """Send money from an operator's vault to a wallet. It waits in transit until the bank's payment is known.

    A person of the operator signs.
    """
    with connected(login) as bank:
        signer, currency = person_of(bank, private_key(key)), currency_of(bank)
        perform(bank, api.fund(wallet, minor_of(amount, currency), reference, signer, id=number_of(id_)))
    show(f"{amount} {currency.code} in transit to {wallet}: reference {reference}")
    return 0


@funding.command(name="to-bank")
def to_bank(
    wallet: WalletId, amount: AmountText, reference: Reference, /, *, login: Login, key: KeyFile = None,
    id_: ActionId = "",
) -> int:  # fmt: skip
    """Send money from a wallet to its operator's vault, for a payment to the holder's bank. The wallet's key signs."""
    with connected(login) as bank:
        currency = currency_of(bank)
        signer = signer_of(bank, bank.do(api.wallet(wallet)), private_key(key))
        made = api.defund(wallet, minor_of(amount, currency), reference, signer=signer, id=number_of(id_))
        perform(bank, made)
    show(f"{amount} {currency.code} in transit to the bank: reference {reference}")
    return 0


@funding.command
def confirm(
    operator: Operator, reference: Reference, /, *, login: Login,
    key: Annotated[Path | None, Parameter(help="For references RW-: your private key, which signs.")] = None,
    id_: ActionId = "",
) -> int:  # fmt: skip
    """Report that the bank made its payment: the money arrives. Also for the references WF- and RW-."""
    return _decide(operator, reference, login, key, id_, is_confirmed=True)


@funding.command
def reject(operator: Operator, reference: Reference, /, *, login: Login, id_: ActionId = "") -> int:
    """Report that the bank refused its payment: the money returns to its source."""
    return _decide(operator, reference, login, None, id_, is_confirmed=False)


@funding.command(name="list")
def list_fundings(
    operator: Operator, /, *, login: Login,
    state: Annotated[str, Parameter(help="Only fundings in this state, such as sent.")] = "", json_: AsJson = False,
) -> int:  # fmt: skip
    """List the payments between an operator's wallets and banks."""
    with connected(login) as bank:
        columns = ("time", "bank_reference", "direction", "wallet", "minor", "state")
        show_rows(bank, "fundings", api.fundings(operator, state), columns, as_json=json_)
    return 0


@funding.command
def waterfalls(operator: Operator, /, *, login: Login, json_: AsJson = False) -> int:
    """List the money of waterfalls that the operator's bank has to pay."""
    with connected(login) as bank:
        columns = ("time", "bank_reference", "wallet", "minor")
        show_rows(bank, "waterfalls", api.waterfalls(operator), columns, as_json=json_)
    return 0


@funding.command
def shortfalls(operator: Operator, /, *, login: Login, json_: AsJson = False) -> int:
    """List the payments for which the operator's bank has to collect the missing money."""
    with connected(login) as bank:
        columns = ("time", "bank_reference", "wallet", "missing_minor")
        show_rows(bank, "shortfalls", api.shortfalls(operator), columns, as_json=json_)
    return 0


# --- merchants ---


@merchant.command(name="open")
def open_(
    id: MerchantId, /, *, login: Login,
    tier: Annotated[str, Parameter(help="Class of the bank's preset; without it the account has no limits.")] = "",
    wallet_key: Annotated[
        Path | None, Parameter(help="Private key of the merchant's wallet; without one its operator signs for it.")
    ] = None,
    key: PersonKey, id_: ActionId = "",
) -> int:  # fmt: skip
    """Open the account of a merchant that passed its due diligence. A person of its operator signs."""
    private = private_key(key)
    with connected(login) as bank:
        operator = bank.do(api.merchant(id)).operator
        call = api.open_wallet(
            id, operator=operator, tier=tier, signer=person_of(bank, private), is_merchant=True,
            **opening_of(bank, id_, wallet_key),
        )  # fmt: skip
        show(f"wallet {perform(bank, call).wallet} opened: merchant {id}, operator {operator}")
    return 0


@merchant.command
def paid(
    account: Annotated[str, Parameter(name="MERCHANT", help="Id of the merchant's account.")],
    order: Annotated[str, Parameter(help="Number of the order.")], /, *,
    login: Login, json_: AsJson = False,
) -> int:  # fmt: skip
    """Show whether an order was paid, for a till that got no answer."""
    from dataclasses import asdict

    with connected(login) as bank:
        found = bank.do(api.order(account, order))
    if json_:
        show_json(asdict(found))
        return 0
    show(f"order {order}: {found.state}" + (f", payment {found.payment}" if found.payment else ""))
    return 0


@merchant.command
def report(
    id: MerchantId, /, *, login: Login, day: Annotated[str, Parameter(help="The day, such as 2026-11-02.")],
    json_: AsJson = False,
) -> int:  # fmt: skip
    """Show a merchant's day per outlet and till: payments, packets and own money apart, refunds and sweeps."""
    from dataclasses import asdict

    with connected(login) as bank:
        found = bank.do(api.merchant_day(id, day))
    members, currency = asdict(found), money.currency(found.currency)
    if json_:
        show_json(members)
        return 0
    for each in found.tills:
        net = money.format(each.net_minor, currency)
        counts = f"{quantity(each.payments, 'payment')}, {quantity(each.refunds, 'refund')}"
        show(f"{each.outlet or '-'}/{each.till or '-'}: {counts}, net {net}")
    parts = ("opening", "gross", "refunded", "swept", "other", "closing")
    shown = ", ".join(f"{name} {money.format(members[f'{name}_minor'], currency)}" for name in parts)
    show(f"{day}: {shown} {currency.code}; as of frame {found.frame:,}")
    return 0


@merchant.command
def sweep(
    id: MerchantId, wallet: WalletId, /, *, login: Login, key: KeyFile = None, id_: ActionId = ""
) -> int:  # fmt: skip
    """Send a merchant's balance to its bank in one sum, under one bank reference. The key of its wallet signs."""
    with connected(login) as bank:
        currency = currency_of(bank)
        signer = signer_of(bank, bank.do(api.wallet(wallet)), private_key(key))
        made = perform(bank, api.sweep(id, wallet, signer=signer, id=number_of(id_)))
    show(f"swept {money.with_code(made.minor, currency)}: bank reference {made.bank_reference}")
    return 0


@merchant.command
def sweeps(id: MerchantId, /, *, login: Login, json_: AsJson = False) -> int:
    """List the sweeps of a merchant."""
    with connected(login) as bank:
        columns = ("time", "bank_reference", "minor", "first_frame", "last_frame", "state")
        show_rows(bank, "sweeps", api.sweeps(id), columns, as_json=json_)
    return 0


@merchant.command(name="confirm")
def confirm_sweep(id: MerchantId, reference: SweepReference, /, *, login: Login, id_: ActionId = "") -> int:
    """Report that the bank received a sweep. A person of the merchant's operator does."""
    with connected(login) as bank:
        perform(bank, api.confirm_sweep(_sweep(bank, id, reference), id=number_of(id_)))
    show(f"sweep {reference} is confirmed")
    return 0


@merchant.command(name="reject")
def reject_sweep(id: MerchantId, reference: SweepReference, /, *, login: Login, id_: ActionId = "") -> int:
    """Report that the bank refused a sweep: the money returns to the merchant."""
    with connected(login) as bank:
        perform(bank, api.reject_sweep(_sweep(bank, id, reference), id=number_of(id_)))
    show(f"sweep {reference} is rejected")
    return 0


@merchant.command
def qr(
    wallet: WalletId, /, *, login: Login,
    amount: Annotated[str, Parameter(help="Amount, such as 12.50; without it the payer enters one.")] = "",
    order: Annotated[str, Parameter(help="Number of the order, for a code that is paid once.")] = "", till: Till = "",
    png: Annotated[Path | None, Parameter(help="Write the QR code to this PNG file.")] = None,
) -> int:  # fmt: skip
    """Print the text of a QR code of a merchant's wallet, and write its picture."""
    require_outputs({"--png": png})
    with connected(login) as bank:
        code: Any = {"minor": minor_of(amount, currency_of(bank)) if amount else 0, "order": order, "till": till}
        text = bank.do(api.qr(wallet, **code))
        if png is not None:
            write_file(png, bank.do(api.qr_picture(wallet, "png", **code)))
    show(text)
    return 0


def _decide(operator: int, reference: str, login: Login, key: Path | None, id: str, *, is_confirmed: bool) -> int:
    with connected(login) as bank:
        state = _decided(bank, operator, reference, key, number_of(id), is_confirmed=is_confirmed)
    show(f"{reference} is {state}")
    return 0


def _decided(bank: Client, operator: int, reference: str, key: Path | None, id: int, *, is_confirmed: bool) -> str:
    """Decide the payment with a bank reference, and return its state."""
    if reference.startswith("WF-"):
        payment = _payment(reference)
        decide = api.confirm_waterfall if is_confirmed else api.reject_waterfall
        return str(perform(bank, decide(operator, payment, id=id)).state)
    if reference.startswith("RW-"):
        if not is_confirmed:
            return str(perform(bank, api.reject_shortfall(_payment(reference), id=id)).state)
        signer = person_of(bank, private_key(key))
        waiting = [each for each in bank.rows(api.shortfalls(operator)) if each.bank_reference == reference]
        if not waiting:
            raise UsageError(f"no payment waits for {reference}", hint="`sycee funding shortfalls` lists them")
        return str(perform(bank, api.fund_shortfall(waiting[0], signer, id=id)).state)
    sent = [each for each in bank.rows(api.fundings(operator)) if each.bank_reference == reference]
    if not sent:
        raise UsageError(f"operator {operator} has no funding {reference}", hint="`sycee funding list` shows them")
    return str(perform(bank, (api.confirm if is_confirmed else api.reject)(sent[0].funding, id=id)).state)


def _payment(reference: str) -> int:
    """Return the payment that a reference such as WF-0123 names. Raises UsageError for another text."""
    try:
        return int(reference[3:], 16)
    except ValueError as error:
        raise UsageError(f"{reference!r} is no reference", hint="copy it from the list") from error


def _sweep(bank: Client, merchant: str, reference: str) -> str:
    """Return the id of a merchant's sweep under a bank reference. Raises UsageError for a reference of none."""
    for each in bank.rows(api.sweeps(merchant)):
        if each.bank_reference == reference:
            return each.sweep
    raise UsageError(
        f"the merchant has no sweep {reference[:40]!r}", hint="`sycee merchant sweeps` shows the bank references"
    )
