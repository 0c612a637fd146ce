"""`sycee voucher`: labelled money of a programme for people without a wallet."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from cyclopts import App, Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, local_time, moment, open_bank, positive_amount
from sycee.cli.parameters import AsJson, Between
from sycee.cli.proposing import maker_of, sign_and_show, signing_keys
from sycee.cli.terminal import print_table, show, show_json, table
from sycee.cli.wallet_options import AmountText, account_named
from sycee.core.errors import UsageError

if TYPE_CHECKING:
    from sycee.vouchers.service import RowResult

app = App(name="voucher", help="Reserve, activate, redeem and cancel vouchers of a programme.")

FILE_BYTES_MAX: Final = 1 << 20
GroupName: TypeAlias = Annotated[str, Parameter(help="Name of the group of vouchers.")]
Serial: TypeAlias = Annotated[int, Parameter(help="Serial of the voucher: the first ten digits of its number.")]
BatchId: TypeAlias = Annotated[str, Parameter(help="Id of the batch, as `sycee voucher new` printed it.")]
Output: TypeAlias = Annotated[
    Path | None, Parameter(help="CSV file to write; without it, the rows are printed to stdout.")
]
ResultsOutput: TypeAlias = Annotated[Path | None, Parameter(help="CSV file to write with the outcome of each row.")]


@app.command
def propose(
    folder: BankFolder, group: GroupName, programme: Annotated[str, Parameter(help="Name of the programme.")],
    budget: Annotated[str, Parameter(help="The most that the vouchers promise, such as 5000.00.")], /, *,
    until: Annotated[str, Parameter(help="Local time at which all vouchers expire, such as 2026-11-30T00:00.")],
    merchants: Annotated[str, Parameter(help="Payee group of the programme; may be omitted if it has one.")] = "",
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
    from sycee.core import money

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
    _show_rows("groups", rows, as_json=json_, headings=("group", "programme", "state"))
    return 0


@app.command
def new(
    folder: BankFolder, group: GroupName, amount: AmountText, /, *,
    count: Annotated[
        int, Parameter(help="Number of vouchers of this amount.", validator=Between("--count", 1, 1_000, 50))
    ] = 1,
    key: KeyFiles = None,
) -> int:  # fmt: skip
    """Reserve money for new vouchers of one amount. The operator signs. Exit code 1 if a row was refused."""
    from sycee.core import ids, money

    keys = signing_keys(key)
    with open_bank(folder) as bank:
        minor, id = positive_amount(bank, amount), bank.stores.ledger.new_id()
        signers, who = bank.signers(*keys), maker_of(bank, keys)
        rows = bank.vouchers.reserve(group, [minor] * count, signers=signers, who=who, id=id)
        made = [each.serial for each in rows if not each.code]
        shown = f"{money.format(minor, bank.config.currency)} {bank.config.currency.code}"
        show(f"batch {ids.format(id)}: {len(made):,} of {count:,} vouchers of {shown} are reserved")
        return _show_refused(rows)


@app.command
def numbers(folder: BankFolder, batch: BatchId, /, *, output: Output = None, key: KeyFiles = None) -> int:
    """Write the numbers of a batch as CSV, to print or send them. The log of each voucher names the reader."""
    from sycee.core import ids
    from sycee.vouchers.numbers import printed

    keys = signing_keys(key)
    with open_bank(folder) as bank:
        found = bank.vouchers.numbers(ids.parse(batch), who=maker_of(bank, keys))
    _write(("serial", "number"), ((serial, printed(text)) for serial, text in found.items()), output, secret=True)
    return 0


@app.command
def activate(
    folder: BankFolder, group: GroupName,
    file: Annotated[Path, Parameter(help="CSV with the columns serial and beneficiary; an id is stored as a hash.")], /,
    *, output: ResultsOutput = None, key: KeyFiles = None,
) -> int:  # fmt: skip
    """Activate vouchers, each for a beneficiary, by a CSV file. Exit code 1 if a row was refused."""
    keys = signing_keys(key)
    rows = [(_serial(row["serial"], number), row["beneficiary"]) for number, row in _read(file)]
    with open_bank(folder) as bank:
        found = bank.vouchers.activate(group, rows, who=maker_of(bank, keys))
        return _finish(found, "activated", output)


@app.command
def redeem(
    folder: BankFolder, number: Annotated[str, Parameter(help="Number of the voucher, 24 digits.")],
    shop: Annotated[str, Parameter(help="The shop: a merchant's name, or the id of its wallet.")],
    amount: AmountText, /, *,
    beneficiary: Annotated[str, Parameter(help="Id that must be the one of the activation.")] = "",
    key: KeyFiles = None,
) -> int:  # fmt: skip
    """Pay a shop from a voucher: all of it, or a part. The operator of its group signs."""
    from sycee.core import ids, money

    keys = signing_keys(key)
    with open_bank(folder) as bank:
        who, currency = maker_of(bank, keys), bank.config.currency
        payee, _ = account_named(bank, shop, by=who)
        paid = bank.vouchers.redeem(
            number, payee, positive_amount(bank, amount), signers=bank.signers(*keys), who=who,
            beneficiary=beneficiary,
        )  # fmt: skip
        show(
            f"paid {money.format(paid.minor, currency)} {currency.code}: operation {ids.format(paid.payment)}",
            f"voucher {paid.serial} has {money.format(paid.rest_minor, currency)} left",
        )
    return 0


@app.command
def cancel(
    folder: BankFolder, group: GroupName, /, *serials: Serial, output: ResultsOutput = None, key: KeyFiles = None
) -> int:
    """Cancel vouchers: the rest of each returns to the funder. The operator signs. Exit code 1 if one was refused."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        found = bank.vouchers.cancel(group, serials, signers=bank.signers(*keys), who=maker_of(bank, keys))
        return _finish(found, "cancelled", output)


@app.command(name="return")
def return_(folder: BankFolder, group: GroupName, /, *, key: KeyFiles = None) -> int:
    """Return what refunds left on a group's account to the funder. The operator signs."""
    from sycee.core import money

    keys = signing_keys(key)
    with open_bank(folder) as bank:
        signers, who = bank.signers(*keys), maker_of(bank, keys)
        minor = bank.vouchers.groups.return_money(group, signers=signers, who=who)
        show(f"returned {money.format(minor, bank.config.currency)} {bank.config.currency.code} to the funder")
    return 0


@app.command(name="show")
def show_(folder: BankFolder, serial: Serial, /, *, json_: AsJson = False) -> int:
    """Show a voucher: its state, its money, and what was done with it."""
    from sycee.core import money

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
    _show_rows("steps", steps, as_json=False, headings=("step",))
    return 0


@app.command(name="batch")
def batch_(folder: BankFolder, batch: BatchId, /, *, output: Output = None) -> int:
    """Write the rows of a request as CSV: serial, step, outcome, code, minor units, and the voucher's state now."""
    from sycee.core import ids

    with open_bank(folder) as bank:
        found = bank.vouchers.batch(ids.parse(batch))
        if not found:
            bank.vouchers.group_of(ids.parse(batch))  # raises: there is no such batch
    _write_results(found, output)
    return 0


def _finish(rows: Sequence[RowResult], word: str, output: Path | None) -> int:
    done = sum(not each.code for each in rows)
    show(f"{done:,} of {len(rows):,} vouchers {word}")
    if output is not None:
        _write_results(rows, output)
    return _show_refused(rows)


def _show_refused(rows: Sequence[RowResult]) -> int:
    """Show the rows that were refused, and return the exit code."""
    refused = [each for each in rows if each.code]
    if refused:
        made = table("serial", "refused")
        for each in refused:
            made.add_row(str(each.serial), each.code)
        print_table(made)
    return 1 if refused else 0


def _write_results(rows: Sequence[RowResult], output: Path | None) -> None:
    headings = ("serial", "step", "outcome", "code", "minor", "state")
    _write(headings, ([getattr(each, name) for name in headings] for each in rows), output)


def _write(
    headings: Sequence[str], rows: Iterable[Sequence[object]], output: Path | None, *, secret: bool = False
) -> None:
    """Write a CSV file, or print it. `secret`: a new file that its owner alone may read."""
    from sycee.core.output_files import write_file
    from sycee.core.secret_files import write_secret

    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow(headings)
    writer.writerows(rows)
    if output is None:
        sys.stdout.write(made.getvalue())
        return
    if secret:
        write_secret(output, made.getvalue().encode(), what="file of numbers")
    else:
        write_file(output, made.getvalue().encode())
    show(f"wrote {output}")


def _read(path: Path) -> Iterable[tuple[int, dict[str, str]]]:
    """Yield line number and row of a CSV file with the columns serial and beneficiary."""
    from sycee.core.input_files import read_bytes

    text = read_bytes(path, FILE_BYTES_MAX, "file of activations").decode("utf-8-sig", errors="replace")
    reader = csv.DictReader(io.StringIO(text))
    if not {"serial", "beneficiary"} <= set(reader.fieldnames or ()):
        raise UsageError(f"{path} lacks the columns serial and beneficiary", hint="its first line has the headings")
    for row in reader:
        yield reader.line_num, {name: row[name] or "" for name in ("serial", "beneficiary")}


def _serial(text: str, line: int) -> int:
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"line {line}: {text!r} is no serial", hint="a serial has digits only")
    return int(text)


def _show_rows(name: str, rows: Sequence[dict[str, Any]], *, as_json: bool, headings: Sequence[str]) -> None:
    if as_json:
        show_json({name: list(rows)})
        return
    made = table(*(rows[0] if rows else headings))
    for row in rows:
        made.add_row(*(str(value) for value in row.values()))
    print_table(made)
