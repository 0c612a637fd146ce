"""Vouchers of a programme over a server. The operator's person signs on this machine what holds and moves money."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sycee.cli.lazy import api
from sycee.cli.parameters import AsJson
from sycee.cli.remote_options import (
    ActionId,
    AmountText,
    Login,
    PersonKey,
    connected,
    currency_of,
    group,
    instant,
    minor_of,
    number_of,
    perform,
    person_of,
    private_key,
    propose,
    show_rows,
)
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
from sycee.core import money
from sycee.core.errors import UsageError
from sycee.core.output_files import require_outputs
from sycee.core.words import quantity

if TYPE_CHECKING:
    from sycee.client import Client
    from sycee.client.values import VoucherGroup

voucher = group("voucher", "Reserve, activate, redeem and cancel vouchers of a programme.")


@voucher.command(name="propose")
def propose_group(
    group: GroupName, programme: Annotated[str, Parameter(help="Name of the programme.")], budget: Budget, /, *,
    login: Login,
    until: Annotated[
        str, Parameter(help="When all vouchers expire: a time with its offset, such as 2026-11-30T00:00+08:00.")
    ],
    merchants: Merchants = "", id_: ActionId = "",
) -> int:  # fmt: skip
    """Propose budget, end and shops of a group of vouchers. Two officers sign."""
    until_ns = instant(until)
    with connected(login) as bank:
        call = api.propose_voucher_group(
            group, programme, budget_minor=minor_of(budget, currency_of(bank)), until_ns=until_ns, merchants=merchants,
            id=number_of(id_),
        )  # fmt: skip
        propose(bank, call)
    return 0


@voucher.command
def groups(*, login: Login, json_: AsJson = False) -> int:
    """List the groups of vouchers."""
    with connected(login) as bank:
        columns = ("group", "programme", "merchants", "operator", "budget_minor", "balance_minor", "state")
        show_rows(bank, "groups", api.voucher_groups(), columns, as_json=json_)
    return 0


@voucher.command
def new(
    group: GroupName, amount: AmountText, /, *, login: Login, count: Count = 1, key: PersonKey, id_: ActionId = ""
) -> int:
    """Reserve money for new vouchers of one amount. The operator signs. Exit code 1 if a row was refused."""
    with connected(login) as bank:
        currency, signer = currency_of(bank), person_of(bank, private_key(key))
        amounts = [minor_of(amount, currency)] * count
        made = perform(bank, api.reserve_vouchers(_group(bank, group), amounts, signer, id=number_of(id_)))
    reserved = sum(not each.code for each in made.rows)
    show(f"batch {made.batch}: {reserved:,} of {quantity(count, 'voucher')} of {amount} {currency.code} reserved")
    return show_refused(made.rows)


@voucher.command
def numbers(batch: BatchId, /, *, login: Login, output: Output = None) -> int:
    """Write the numbers of a batch as CSV, to print or send them. The log of each voucher names the reader."""
    from sycee.vouchers.numbers import printed

    require_outputs({"--output": output})
    with connected(login) as bank:
        found = bank.do(api.voucher_numbers(batch))
    write_rows(("serial", "number"), ((each.serial, printed(each.number)) for each in found), output, secret=True)
    return 0


@voucher.command
def activate(
    group: GroupName, file: Activations, /, *, login: Login, output: ResultsOutput = None, id_: ActionId = ""
) -> int:
    """Activate vouchers, each for a beneficiary, by a CSV file. Exit code 1 if a row was refused."""
    require_outputs({"--output": output})
    rows = read_activations(file)
    beneficiaries = dict(rows)
    if len(beneficiaries) != len(rows):
        raise UsageError(f"{file} has a serial twice", hint="give each voucher one beneficiary")
    with connected(login) as bank:
        made = perform(bank, api.activate_vouchers(group, beneficiaries, id=number_of(id_)))
    return finish(made.rows, "activated", output)


@voucher.command
def redeem(
    number: Number, shop: Annotated[str, Parameter(help="Id of the shop's wallet.")], amount: AmountText, /, *,
    login: Login, beneficiary: Beneficiary = "", key: PersonKey, id_: ActionId = "",
) -> int:  # fmt: skip
    """Pay a shop from a voucher: all of it, or a part. The operator of its group signs."""
    from sycee.vouchers.numbers import parse

    serial, _ = parse(number)
    with connected(login) as bank:
        currency, signer = currency_of(bank), person_of(bank, private_key(key))
        own = _group(bank, bank.do(api.voucher(serial)).group)
        call = api.redeem_voucher(
            number, own, shop, minor_of(amount, currency), signer, beneficiary=beneficiary, id=number_of(id_)
        )
        paid = perform(bank, call)
    show(
        f"paid {money.with_code(paid.minor, currency)}: operation {paid.payment}",
        f"voucher {paid.serial} has {money.format(paid.rest_minor, currency)} left",
    )
    return 0


@voucher.command
def cancel(
    group: GroupName, /, *serials: Serial, login: Login, output: ResultsOutput = None, key: PersonKey,
    id_: ActionId = "",
) -> int:  # fmt: skip
    """Cancel vouchers: the rest of each returns to the funder. The operator signs. Exit code 1 if one was refused."""
    require_outputs({"--output": output})
    with connected(login) as bank:
        signer = person_of(bank, private_key(key))
        made = perform(bank, api.cancel_vouchers(_group(bank, group), serials, signer, id=number_of(id_)))
    return finish(made.rows, "cancelled", output)


@voucher.command(name="return")
def return_(group: GroupName, /, *, login: Login, key: PersonKey, id_: ActionId = "") -> int:
    """Return what refunds left on a group's account to the funder. The operator signs."""
    with connected(login) as bank:
        currency, signer, found = currency_of(bank), person_of(bank, private_key(key)), _group(bank, group)
        returned = perform(bank, api.return_voucher_money(found, found.balance_minor, signer, id=number_of(id_)))
    show(f"returned {money.with_code(returned, currency)} to the funder")
    return 0


@voucher.command(name="show")
def show_(serial: Serial, /, *, login: Login, json_: AsJson = False) -> int:
    """Show a voucher: its state, its money, and what was done with it."""
    from dataclasses import asdict

    with connected(login) as bank:
        found, currency = bank.do(api.voucher(serial)), currency_of(bank)
    if json_:
        show_json(asdict(found))
        return 0
    amounts = {"redeemed": found.redeemed_minor, "rest": found.rest_minor, "returned": found.returned_minor}
    parts = ", ".join(f"{name} {money.format(minor, currency)}" for name, minor in amounts.items())
    total = money.format(found.minor, currency)
    show(f"voucher {serial} of {found.group} is {found.state}: {total} {currency.code}, {parts}")
    steps = [
        {
            "step": each.step, "outcome": each.code or each.outcome,
            "amount": money.format(each.minor, currency) if each.minor else "", "at": each.at,
        }
        for each in found.steps
    ]  # fmt: skip
    return print_list("steps", steps, "step", "outcome", "amount", "at", as_json=False)


@voucher.command(name="batch")
def batch_(batch: BatchId, /, *, login: Login, output: Output = None) -> int:
    """Write the rows of a request as CSV: serial, step, outcome, code, minor units, and the voucher's state now."""
    require_outputs({"--output": output})
    with connected(login) as bank:
        found = list(bank.rows(api.voucher_batch(batch)))
    write_results(found, output)
    return 0


def _group(bank: Client, name: str) -> VoucherGroup:
    """Return a group by its name. Raises UsageError for one that the caller does not see."""
    found = [each for each in bank.do(api.voucher_groups()) if each.group == name]
    if not found:
        raise UsageError(f"there is no group of vouchers {name[:40]!r}", hint="`sycee voucher groups` shows them")
    return found[0]
