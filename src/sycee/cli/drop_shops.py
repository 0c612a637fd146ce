"""Commands of `sycee drop` about shops, and the closing report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, open_bank
from sycee.cli.operator import Operator, operator_number
from sycee.cli.parameters import AsJson
from sycee.cli.proposing import maker_of, signing_keys
from sycee.cli.terminal import print_table, show, show_json, table

if TYPE_CHECKING:
    from sycee.bank.bank import Bank
    from sycee.programmes.shops import Application

Name: TypeAlias = Annotated[str, Parameter(help="Name of the programme.")]
Merchant: TypeAlias = Annotated[str, Parameter(help="Name of the merchant.")]
Wallet: TypeAlias = Annotated[str, Parameter(help="Account of the shop.")]


def apply(
    folder: BankFolder, name: Name, merchant: Merchant, /, *,
    group: Annotated[str, Parameter(help="Merchant group of the file; may be left out if it has one.")] = "",
    wallet: Annotated[str, Parameter(help="Account of the merchant; its oldest one if left out.")] = "",
    key: KeyFiles = None,
) -> int:  # fmt: skip
    """Apply with a merchant's account for a merchant group of a programme."""
    from sycee.core import ids

    keys = signing_keys(key)
    with open_bank(folder) as bank:
        found = bank.institutions.find("merchant", merchant)
        account = ids.parse(wallet) if wallet else 0
        made = bank.shops.apply(name, found.id, who=maker_of(bank, keys), group=group, account=account)
        show(f"{merchant} applied for {made.group} of {name} with wallet {ids.format(made.account)}: {made.state}")
    return 0


def check(
    folder: BankFolder, name: Name, wallet: Wallet, /, *,
    decline: Annotated[str, Parameter(help="Decline the application, for this reason.")] = "",
    key: KeyFiles = None,
) -> int:  # fmt: skip
    """Accept an application, or decline it. Another person than the one who applied decides."""
    from sycee.core import ids

    keys = signing_keys(key)
    with open_bank(folder) as bank:
        who = maker_of(bank, keys)
        made = bank.shops.check(name, ids.parse(wallet), accepted=not decline, reason=decline, who=who)
        show(f"wallet {ids.format(made.account)} is {made.state}")
    return 0


def join(folder: BankFolder, name: Name, operator: Operator, /, *, key: KeyFiles = None) -> int:
    """Let the accepted shops of an operator join: packets then reach them. The operator signs."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        number = operator_number(bank, operator)
        joined = bank.shops.join(name, number, signers=bank.signers(*keys), who=maker_of(bank, keys))
        show(f"{len(joined):,} shops of operator {number} are in {name}")
    return 0


def leave(folder: BankFolder, name: Name, wallet: Wallet, /, *, key: KeyFiles = None) -> int:
    """Let a shop leave a programme: packets no longer reach it. Its operator signs."""
    from sycee.core import ids

    keys = signing_keys(key)
    with open_bank(folder) as bank:
        made = bank.shops.leave(name, ids.parse(wallet), signers=bank.signers(*keys), who=maker_of(bank, keys))
        show(f"wallet {ids.format(made.account)} has {made.state} {name}")
    return 0


def shops(
    folder: BankFolder, name: Name, /, *,
    untested: Annotated[bool, Parameter(negative="", help="List outlets that took no payment yet.")] = False,
    json_: AsJson = False,
) -> int:  # fmt: skip
    """List the shops of a programme and their states, or the outlets that took no test payment yet."""
    with open_bank(folder) as bank:
        if untested:
            rows = [
                {"merchant": bank.institutions.get(each.merchant).name, "outlet": each.code, "operator": each.operator}
                for each in bank.shops.untested(name)
            ]
        else:
            rows = [_row(bank, each) for each in bank.shops.list(name)]
        if json_:
            show_json({"rows": rows})
            return 0
        made = table(*(rows[0] if rows else ("merchant",)))
        for row in rows:
            made.add_row(*(str(value) for value in row.values()))
        print_table(made)
    return 0


def report(
    folder: BankFolder, name: Name, output: Annotated[Path, Parameter(help="Folder for the files.")], /, *,
    occurrence: Annotated[int, Parameter(help="Number of the occurrence.")] = 0,
) -> int:  # fmt: skip
    """Write the closing report of an occurrence: one HTML page, and its tables as CSV and Parquet."""
    with open_bank(folder) as bank:
        for path in bank.closing_reports.write(name, occurrence, output):
            show(f"wrote {path}")
    return 0


def _row(bank: Bank, found: Application) -> dict[str, Any]:
    from sycee.core import ids

    return {
        "merchant": bank.institutions.get(found.merchant).name, "wallet": ids.format(found.account),
        "group": found.group, "operator": found.operator, "state": found.state, "reason": found.reason,
    }  # fmt: skip


COMMANDS = (apply, check, join, leave, shops, report)
