"""`sycee voucher`: labelled money of a programme for people without a wallet."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, local_time, moment, open_bank, positive_amount
from sycee.cli.lazy import ids
from sycee.cli.parameters import AsJson
from sycee.cli.proposing import maker_of, sign_and_show, signing_keys
from sycee.cli.terminal import print_list, show, show_json
from sycee.cli.voucher_rows import (
    Activations,
    BatchId,
    Beneficiary,
    Budget,
    Count,
    GroupName,
    Merchants,
    Number,
    Output,
    ResultsOutput,
    Serial,
    finish,
    read_activations,
    show_refused,
    write_results,
    write_rows,
)
from sycee.cli.wallet_options import AmountText, account_named
from sycee.core import money
from sycee.core.output_files import require_outputs
from sycee.core.words import quantity

app = App(name="voucher", help="Reserve, activate, redeem and cancel vouchers of a programme.")


@app.command
def propose(
    folder: BankFolder, group: GroupName, programme: Annotated[str, Parameter(help="Name of the programme.")],
    budget: Budget, /, *,
    until: Annotated[str, Parameter(help="Local time at which all vouchers expire, such as 2026-11-30T00:00.")],
    merchants: Merchants = "",
    key: KeyFiles = None,
) -> int:  # fmt: skip
    """Propose budget, end and shops of a group of vouchers. Two officers sign."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        until_ns = moment(until, bank.config.text("zone"))
        made = bank.vouchers.groups.propose(
            group, programme, merchants=merchants, budget_minor=positive_amount(bank, budget), until_ns=until_ns,
            maker=maker_of(bank, keys),
        )  # fmt: skip
        return sign_and_show(bank, made, keys)


@app.command
def groups(folder: BankFolder, /, *, json_: AsJson = False) -> int:
    """List the groups of vouchers."""
    with open_bank(folder) as bank:
        rows = [
            {
                "group": each.group,
                "programme": each.programme,
                "merchants": each.merchants,
                "operator": each.operator,
                "budget": money.format(each.budget_minor, bank.config.currency),
                "until": local_time(each.until_ns, bank.config.text("zone")),
                "state": each.state,
            }
            for each in bank.vouchers.groups.list()
        ]
    headings = ("group", "programme", "merchants", "operator", "budget", "until", "state")
    return print_list("groups", rows, *headings, as_json=json_)


@app.command
def new(
    folder: BankFolder, group: GroupName, amount: AmountText, /, *,
    count: Count = 1,
    key: KeyFiles = None,
) -> int:  # fmt: skip
    """Reserve money for new vouchers of one amount. The operator signs. Exit code 1 if a row was refused."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        minor, id = positive_amount(bank, amount), bank.stores.ledger.new_id()
        signers, who = bank.signers(*keys), maker_of(bank, keys)
        rows = bank.vouchers.reserve(group, [minor] * count, signers=signers, who=who, id=id)
        made = [each.serial for each in rows if not each.code]
        shown = money.with_code(minor, bank.config.currency)
        show(f"batch {ids.format(id)}: {len(made):,} of {quantity(count, 'voucher')} of {shown} reserved")
        return show_refused(rows)


@app.command
def numbers(folder: BankFolder, batch: BatchId, /, *, output: Output = None, key: KeyFiles = None) -> int:
    """Write the numbers of a batch as CSV, to print or send them. The log of each voucher names the reader."""
    from sycee.vouchers.numbers import printed

    require_outputs({"--output": output}, outside=folder)
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        found = bank.vouchers.numbers(ids.parse(batch), who=maker_of(bank, keys))
    write_rows(("serial", "number"), ((serial, printed(text)) for serial, text in found.items()), output, secret=True)
    return 0


@app.command
def activate(
    folder: BankFolder, group: GroupName, file: Activations, /, *, output: ResultsOutput = None, key: KeyFiles = None
) -> int:
    """Activate vouchers, each for a beneficiary, by a CSV file. Exit code 1 if a row was refused."""
    require_outputs({"--output": output}, outside=folder, inputs=[file])
    keys = signing_keys(key)
    rows = read_activations(file)
    with open_bank(folder) as bank:
        found = bank.vouchers.activate(group, rows, who=maker_of(bank, keys))
        return finish(found, "activated", output)


@app.command
def redeem(
    folder: BankFolder, number: Number,
    shop: Annotated[str, Parameter(help="The shop: a merchant's name, or the id of its wallet.")],
    amount: AmountText, /, *,
    beneficiary: Beneficiary = "",
    key: KeyFiles = None,
) -> int:  # fmt: skip
    """Pay a shop from a voucher: all of it, or a part. The operator of its group signs."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        who, currency = maker_of(bank, keys), bank.config.currency
        payee, _ = account_named(bank, shop, by=who)
        paid = bank.vouchers.redeem(
            number, payee, positive_amount(bank, amount), signers=bank.signers(*keys), who=who,
            beneficiary=beneficiary,
        )  # fmt: skip
        show(
            f"paid {money.with_code(paid.minor, currency)}: operation {ids.format(paid.payment)}",
            f"voucher {paid.serial} has {money.format(paid.rest_minor, currency)} left",
        )
    return 0


@app.command
def cancel(
    folder: BankFolder, group: GroupName, /, *serials: Serial, output: ResultsOutput = None, key: KeyFiles = None
) -> int:
    """Cancel vouchers: the rest of each returns to the funder. The operator signs. Exit code 1 if one was refused."""
    require_outputs({"--output": output}, outside=folder)
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        found = bank.vouchers.cancel(group, serials, signers=bank.signers(*keys), who=maker_of(bank, keys))
        return finish(found, "cancelled", output)


@app.command(name="return")
def return_(folder: BankFolder, group: GroupName, /, *, key: KeyFiles = None) -> int:
    """Return what refunds left on a group's account to the funder. The operator signs."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        signers, who = bank.signers(*keys), maker_of(bank, keys)
        minor = bank.vouchers.groups.return_money(group, signers=signers, who=who)
        show(f"returned {money.with_code(minor, bank.config.currency)} to the funder")
    return 0


@app.command(name="show")
def show_(folder: BankFolder, serial: Serial, /, *, json_: AsJson = False) -> int:
    """Show a voucher: its state, its money, and what was done with it."""
    with open_bank(folder) as bank:
        found, currency = bank.vouchers.get(serial), bank.config.currency
        steps = [
            {
                "step": each.step,
                "outcome": each.code or each.state,
                "amount": money.format(each.minor, currency) if each.minor else "",
                "at": local_time(each.at_ns, bank.config.text("zone")),
            }
            for each in bank.vouchers.steps(serial)
        ]
    amounts = {
        name: money.format(getattr(found, f"{name}_minor"), currency) for name in ("redeemed", "rest", "returned")
    }
    total = money.format(found.minor, currency)
    if json_:
        members = {"serial": found.serial, "group": found.group, "state": found.state, "amount": total, **amounts}
        show_json(members | {"steps": steps})
        return 0
    parts = ", ".join(f"{name} {each}" for name, each in amounts.items())
    show(f"voucher {found.serial} of {found.group} is {found.state}: {total} {currency.code}, {parts}")
    return print_list("steps", steps, "step", "outcome", "amount", "at", as_json=False)


@app.command(name="batch")
def batch_(folder: BankFolder, batch: BatchId, /, *, output: Output = None) -> int:
    """Write the rows of a request as CSV: serial, step, outcome, code, minor units, and the voucher's state now."""
    require_outputs({"--output": output}, outside=folder)
    with open_bank(folder) as bank:
        found = bank.vouchers.batch(ids.parse(batch))
        if not found:
            bank.vouchers.group_of(ids.parse(batch))  # raises: there is no such batch
    write_results(found, output)
    return 0
