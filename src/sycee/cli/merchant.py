"""`sycee merchant`: accounts, QR codes, day reports and sweeps of merchants."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, local_time, open_bank, positive_amount
from sycee.cli.lazy import ids
from sycee.cli.parameters import AsJson
from sycee.cli.proposing import maker_of, signing_keys
from sycee.cli.qr_options import PngFile, SvgFile, write_code
from sycee.cli.terminal import print_list, print_table, show, show_json, table
from sycee.cli.wallet import _key_of, _line
from sycee.cli.wallet_options import MerchantName, OrderNumber, merchant_named, person_of, signing_for
from sycee.core import money
from sycee.core.errors import UsageError
from sycee.core.output_files import require_outputs

if TYPE_CHECKING:
    from datetime import date

    from sycee.bank.bank import Bank
    from sycee.wallets.merchant_reports import DayReport
    from sycee.wallets.sweeps import Sweep

app = App(name="merchant", help="Open accounts of merchants; show their QR codes, day reports, orders and sweeps.")

Reference = Annotated[str, Parameter(help="Bank reference of the sweep.")]


@app.command(name="open")
def open_(
    folder: BankFolder, merchant: MerchantName, /, *,
    tier: Annotated[str, Parameter(help="Class of the bank's preset; without it the account has no limits.")] = "",
    wallet_key: Annotated[
        Path | None, Parameter(help="Private key of the merchant's wallet; without one its operator signs for it.")
    ] = None,
    key: KeyFiles = None,
) -> int:  # fmt: skip
    """Open the account of a merchant that passed its due diligence. A person of its operator signs."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        found = merchant_named(bank, merchant)
        wallet = bank.wallets.open(
            found.id, operator=found.operator or 0, tier=tier, signers=bank.signers(*keys), who=maker_of(bank, keys),
            **_key_of(bank, wallet_key),
        )  # fmt: skip
        show(_line(wallet))
    return 0


@app.command
def paid(folder: BankFolder, merchant: MerchantName, order: OrderNumber, /, *, json_: AsJson = False) -> int:
    """Show whether an order was paid, for a till that lost its network."""
    from sycee.wallets.orders import HELD
    from sycee.wallets.tables import PAID

    with open_bank(folder) as bank:
        found = bank.payments.was_paid(merchant_named(bank, merchant).id, order)
        currency, zone = bank.config.currency, bank.config.text("zone")
    members = {
        "order": found.order,
        "state": found.state,
        "amount": money.format(found.minor, currency),
        "refunded": money.format(found.refunded_minor, currency),
        "time": local_time(found.at_ns, zone) if found.at_ns else None,
        "operation": ids.format(found.operation) if found.operation else None,
    }
    if json_:
        show_json(members)
        return 0
    amount = f": {members['amount']} {currency.code}"
    more = {
        PAID: f"{amount} at {members['time']}, refunded {members['refunded']}",
        HELD: f"{amount} since {members['time']}",
    }
    show(f"order {order} is {found.state}{more.get(found.state, '')}")
    return 0


@app.command
def report(
    folder: BankFolder, merchant: MerchantName, /, *,
    day: Annotated[str, Parameter(help="The day, such as 2026-11-02.")],
    json_: AsJson = False,
) -> int:  # fmt: skip
    """Show a merchant's day per outlet and till: payments, packets and own money apart, refunds and sweeps."""
    with open_bank(folder) as bank:
        found = bank.reports.day(merchant_named(bank, merchant).id, _day(day))
        currency = bank.config.currency

    def decimal(minor: int) -> str:
        return money.format(minor, currency)

    if json_:
        show_json(_report_members(found))
        return 0
    headings = ("outlet", "till", "payments", "gross", "own money", "packets", "refunds", "refunded", "net")
    made = table(*headings, numbers=headings[2:])
    for row in found.tills:
        made.add_row(
            row.outlet or "-", row.till or "-", str(row.payments), decimal(row.gross_minor), decimal(row.own_minor),
            decimal(row.packets_minor), str(row.refunds), decimal(row.refunded_minor), decimal(row.net_minor),
        )  # fmt: skip
    print_table(made)
    show(
        f"{found.name}, {day}: opening {decimal(found.opening_minor)} + gross {decimal(found.gross_minor)} - refunds "
        f"{decimal(found.refunded_minor)} - swept {decimal(found.swept_minor)} + other {decimal(found.other_minor)} = "
        f"closing {decimal(found.closing_minor)} {currency.code}; as of frame {found.frame:,}"
    )
    return 0


@app.command
def sweep(folder: BankFolder, merchant: MerchantName, /, *, key: KeyFiles = None) -> int:
    """Send a merchant's balance to its bank in one sum, under one bank reference.

    The key of the merchant's wallet signs, or a person of its operator if the wallet has none.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        found = merchant_named(bank, merchant)
        account = bank.directory.open_of(found.id).account
        signing = signing_for(bank, account, keys)
        who = signing.who if signing.who != found.id else maker_of(bank, keys)
        made = bank.sweeps.sweep(found.id, signers=signing.signers, who=who)
        amount = money.with_code(made.minor, bank.config.currency)
        show(f"swept {amount}: bank reference {made.bank_reference}")
    return 0


@app.command
def sweeps(folder: BankFolder, merchant: MerchantName, /, *, json_: AsJson = False) -> int:
    """List the sweeps of a merchant, the oldest first."""
    with open_bank(folder) as bank:
        zone, currency = bank.config.text("zone"), bank.config.currency
        rows = [
            {
                "time": local_time(each.at_ns, zone),
                "bank reference": each.bank_reference,
                "amount": money.format(each.minor, currency),
                "frames": f"{each.first_frame}-{each.last_frame}",
                "state": each.state,
            }
            for each in bank.sweeps.of_merchant(merchant_named(bank, merchant).id)
        ]
    columns = ("time", "bank reference", "amount", "frames", "state")
    return print_list("sweeps", rows, *columns, numbers=("amount",), as_json=json_)


@app.command
def confirm(folder: BankFolder, reference: Reference, /, *, key: KeyFiles = None) -> int:
    """Report that the bank received a sweep.

    --key is of a person with a duty at the operator; operator 0's key on the bank's machine signs.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        found = bank.sweeps.by_reference(reference)
        bank.sweeps.confirm(found.id, signers=bank.technical_signers(), who=person_of(bank, keys[0]))
        _show_sweep(bank, found)
    return 0


@app.command
def reject(folder: BankFolder, reference: Reference, /, *, key: KeyFiles = None) -> int:
    """Report that the bank refused a sweep: the money returns to the merchant. Keys as for confirm."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        found = bank.sweeps.by_reference(reference)
        bank.sweeps.reject(found.id, signers=bank.technical_signers(), who=person_of(bank, keys[0]))
        _show_sweep(bank, found)
    return 0


@app.command
def qr(
    folder: BankFolder, merchant: MerchantName, /, *,
    amount: Annotated[str | None, Parameter(help="Amount, such as 12.50; without it the payer enters one.")] = None,
    order: Annotated[str, Parameter(help="Number of the order, for a code that is paid once.")] = "",
    till: Annotated[str | None, Parameter(help="Code of the till, or OUTLET/TILL.")] = None,
    png: PngFile = None, svg: SvgFile = None,
) -> int:  # fmt: skip
    """Print the text of a merchant's QR code, and write its picture."""
    from sycee.bank.qr_codes import account_code

    require_outputs({"--png": png, "--svg": svg}, outside=folder)
    with open_bank(folder) as bank:
        found = merchant_named(bank, merchant)
        code = ""
        if till:
            at = bank.institutions.find_till(found.id, till)
            code = f"{at.outlet_code}/{at.code}"
        text = account_code(
            bank, bank.directory.open_of(found.id).account,
            minor=positive_amount(bank, amount) if amount else 0, order=order, till=code,
        )  # fmt: skip
    show(text)
    write_code(text, png, svg)
    return 0


# --- helpers ---


def _day(text: str) -> date:
    from datetime import date

    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text[:40]!r} is not a day", hint="write it as 2026-11-02") from error


def _report_members(found: DayReport) -> dict[str, Any]:
    names = ("own_minor", "packets_minor", "gross_minor", "refunded_own_minor", "refunded_packets_minor", "net_minor")
    return {
        "merchant": found.name,
        "account": ids.format(found.account),
        "day": found.day.isoformat(),
        "tills": [
            {"outlet": row.outlet, "till": row.till, "payments": row.payments, "refunds": row.refunds}
            | {name: getattr(row, name) for name in names}
            for row in found.tills
        ],
        "opening_minor": found.opening_minor,
        "gross_minor": found.gross_minor,
        "refunded_minor": found.refunded_minor,
        "swept_minor": found.swept_minor,
        "other_minor": found.other_minor,
        "closing_minor": found.closing_minor,
        "frame": found.frame,
    }


def _show_sweep(bank: Bank, sweep: Sweep) -> None:
    show(f"{sweep.bank_reference} is {bank.sweeps.get(sweep.id).state}")
