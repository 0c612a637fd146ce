"""`sycee reserves`: record reserves that operators bring, set the limits of minting, and the rules for reserves."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, local_day, moment, open_bank, positive_amount
from sycee.cli.mint import Amount
from sycee.cli.operator import Operator, operator_number
from sycee.cli.parameters import AsJson
from sycee.cli.proposing import maker_of, sign_and_show, signing_keys
from sycee.cli.terminal import print_table, show_json, table
from sycee.core import money

app = App(name="reserves", help="Record reserves, and set limits of minting and rules for reserves.")

FromTime = Annotated[str, Parameter(name="--from", help="Local time in the future from which it counts.")]


@app.command
def credit(folder: BankFolder, operator: Operator, amount: Amount, /, *, key: KeyFiles = None) -> int:
    """Propose to record reserves that an operator brings from the settlement system. Two officers sign."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        minor = positive_amount(bank, amount)
        proposal = bank.issuance.credit_reserves(operator_number(bank, operator), minor, maker=maker_of(bank, keys))
        return sign_and_show(bank, proposal, keys)


@app.command
def cap(folder: BankFolder, amount: Amount, /, *, from_: FromTime, key: KeyFiles = None) -> int:
    """Propose the most that is minted on one local day. Two officers sign."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        minor = money.parse(amount, bank.config.currency)
        effective_ns = moment(from_, bank.config.text("zone"))
        proposal = bank.issuance.change_cap(minor, effective_ns=effective_ns, maker=maker_of(bank, keys))
        return sign_and_show(bank, proposal, keys)


@app.command
def quota(folder: BankFolder, operator: Operator, amount: Amount, /, *, from_: FromTime, key: KeyFiles = None) -> int:
    """Propose the maximum balance of an operator's vault. Two officers sign."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        minor = money.parse(amount, bank.config.currency)
        effective_ns = moment(from_, bank.config.text("zone"))
        number = operator_number(bank, operator)
        proposal = bank.issuance.change_quota(number, minor, effective_ns=effective_ns, maker=maker_of(bank, keys))
        return sign_and_show(bank, proposal, keys)


@app.command
def rules(
    folder: BankFolder,
    source: Annotated[str | None, Parameter(help="Shipped rules, such as full or cn-2026, or a TOML file.")] = None,
    /,
    *,
    key: KeyFiles = None,
    json_: AsJson = False,
) -> int:
    """Propose the reserve rules in a file; two officers sign. Without a file show those in force today."""
    from sycee.issuance import reserve_rules

    if source is not None:
        keys = signing_keys(key)
        with open_bank(folder) as bank:
            proposal = bank.reserve_rules.propose(reserve_rules.load(source), maker=maker_of(bank, keys))
            return sign_and_show(bank, proposal, keys)
    with open_bank(folder) as bank:
        found = bank.reserve_rules.on(local_day(bank))
    rows = [
        {
            "class": each.wallet_class,
            "from": each.from_day.isoformat(),
            "holder": each.holder,
            "share_ppm": each.share_ppm,
            "source": each.source,
        }
        for each in found.values()
    ]
    if json_:
        show_json({"rules": rows})
        return 0
    made = table("class", "from", "owed by", "share", "source", numbers=("share",))
    for row in rows:
        share = f"{int(str(row['share_ppm'])) / 10_000:g} %"
        made.add_row(str(row["class"]), str(row["from"]), str(row["holder"]), share, str(row["source"]))
    print_table(made)
    return 0
