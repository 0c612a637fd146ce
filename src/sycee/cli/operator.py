"""`sycee operator`: banks and payment firms of the second tier, from their joining to their leaving."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import App, Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, moment, named_key, open_bank
from sycee.cli.lazy import ids
from sycee.cli.parameters import AsJson
from sycee.cli.proposing import maker_of, sign_and_show, signing_keys
from sycee.cli.terminal import print_table, show, show_json, table
from sycee.core import money
from sycee.core.errors import UsageError

if TYPE_CHECKING:
    from sycee.bank.bank import Bank

app = App(name="operator", help="Let operators join and leave, and list them.")

Operator: TypeAlias = Annotated[str, Parameter(help="Name, id or number of the operator.")]


@app.command
def join(
    folder: BankFolder,
    operator: Operator,
    /,
    *,
    quota: Annotated[str, Parameter(help="Maximum balance of its vault, such as 5,000,000.00.")],
    public_key: Annotated[str, Parameter(help="Public key of the first person who signs for it.")],
    until: Annotated[str, Parameter(help="Local time at which this person's duty ends.")],
    key: KeyFiles = None,
) -> int:
    """Propose that an approved institution becomes an operator, with accounts, a quota, and a person who signs.

    Two officers sign.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        found = bank.institutions.find("operator", operator)
        proposal = bank.issuance.join(
            found.id,
            quota_minor=money.parse(quota, bank.config.currency),
            key=named_key(public_key),
            until_ns=moment(until, bank.config.text("zone")),
            maker=maker_of(bank, keys),
        )
        return sign_and_show(bank, proposal, keys)


@app.command
def leave(folder: BankFolder, operator: Operator, /, *, key: KeyFiles = None) -> int:
    """Propose the next step of an operator's leaving: first block its vault for credits, at the end close its accounts.

    Between both steps the operator redeems all its money. Two officers and the operator sign each step.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        number = operator_number(bank, operator)
        code = sign_and_show(bank, bank.issuance.leave(number, maker=maker_of(bank, keys)), keys)
        show(f"operator {number} is {bank.registry.operator(number).state}")
    return code


@app.command(name="list")
def list_(folder: BankFolder, /, *, json_: AsJson = False) -> int:
    """List the institutions that applied, with number, state, vault and reserves of those that joined."""
    with open_bank(folder) as bank:
        joined = {each.institution: each for each in bank.registry.operators()}
        rows = []
        with bank.stores.ledger.sequencer.reading() as state:
            for each in bank.institutions.list("operator"):
                operator = joined.get(each.id)
                accounts = (operator.accounts.vault, operator.accounts.reserve) if operator else ()
                found = [state.account(account) for account in accounts]
                amounts = [money.format(account.balance if account else 0, bank.config.currency) for account in found]
                rows.append(
                    {
                        "number": operator.number if operator else None,
                        "name": each.name,
                        "id": ids.format(each.id),
                        "state": operator.state if operator and each.operator is not None else each.state,
                        "vault": amounts[0] if amounts else "",
                        "reserve": amounts[1] if amounts else "",
                    }
                )
    if json_:
        show_json({"operators": rows})
        return 0
    made = table("number", "name", "state", "vault", "reserves", "id", numbers=("vault", "reserves"))
    for row in rows:
        number = "" if row["number"] is None else str(row["number"])
        made.add_row(
            number, str(row["name"]), str(row["state"]), str(row["vault"]), str(row["reserve"]), str(row["id"])
        )
    print_table(made)
    return 0


def operator_number(bank: Bank, text: str) -> int:
    """Return the number of an operator by name, id or number. Raises UsageError for one that has not joined."""
    found = bank.institutions.find("operator", text)
    if found.operator is None:
        raise UsageError(
            f"{found.name} is {found.state}, and has no number yet", hint="it joins first: `sycee operator join`"
        )
    return found.operator
