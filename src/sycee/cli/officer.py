"""`sycee officer`: give persons duties, list them, end them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, local_time, moment, named_key, open_bank
from sycee.cli.lazy import ids
from sycee.cli.parameters import AsJson
from sycee.cli.proposing import maker_of, sign_and_show, signing_keys
from sycee.cli.terminal import print_table, show, show_json, table
from sycee.core import money
from sycee.core.errors import UsageError

if TYPE_CHECKING:
    from sycee.bank.bank import Bank
    from sycee.identity.duties import Duty

app = App(name="officer", help="Appoint officers and other staff, and dismiss them.")


@app.command
def add(
    folder: BankFolder,
    /,
    *,
    public_key: Annotated[str, Parameter(help="Public key with which the person signs.")],
    duty: Annotated[str, Parameter(help="Duty: officer, currency-officer, operator, clerk, closer, and so on.")],
    until: Annotated[str, Parameter(help="Local time at which the duty ends.")],
    institution: Annotated[
        str | None, Parameter(help="Operator or merchant by name or number; 0 and 1 are the issuer's own.")
    ] = None,
    currency: Annotated[str, Parameter(help="Currency of a currency-officer, such as HKD.")] = "",
    person: Annotated[str | None, Parameter(help="Id of a person who is known already.")] = None,
    key: KeyFiles = None,
) -> int:
    """Propose that a person has a duty.

    Two officers sign: the maker, whose key is first, and another. Without enough keys the command prints the proposal's
    id and the missing signatures.
    """
    from sycee.identity import duties

    chosen, keys = duties.parse(duty), signing_keys(key)
    with open_bank(folder) as bank:
        number, found = _institution(bank, chosen, institution)
        proposal = bank.appointments.appoint(
            chosen,
            named_key(public_key),
            until_ns=moment(until, bank.config.text("zone")),
            maker=maker_of(bank, keys),
            person=ids.parse(person) if person else 0,
            institution=found,
            operator=number,
            currency=money.currency(currency).numeric if currency else 0,
        )
        show(f"person {proposal.effect['person']}, duty {proposal.effect['duty_id']}")
        return sign_and_show(bank, proposal, keys)


@app.command(name="list")
def list_(
    folder: BankFolder,
    /,
    *,
    json_: AsJson = False,
) -> int:
    """List the duties that persons have now, with their keys."""
    with open_bank(folder) as bank:
        rows = [
            {
                "duty": str(held),
                "person": ids.format(held.person),
                "id": ids.format(held.id),
                "until": local_time(held.until_ns, bank.config.text("zone")),
                "keys": [str(each) for each in bank.people.keys_of(held.person)],
            }
            for held in bank.people.holders()
        ]
    if json_:
        show_json({"duties": rows})
        return 0
    made = table("duty", "person", "id of the duty", "until", "key")
    for row in rows:
        made.add_row(*(str(row[name]) for name in ("duty", "person", "id", "until")), ", ".join(row["keys"]))
    print_table(made)
    return 0


@app.command
def end(
    folder: BankFolder,
    duty: Annotated[str, Parameter(help="Id of the duty, or its name if one person has it.")],
    /,
    *,
    key: KeyFiles = None,
) -> int:
    """Propose the end of a duty.

    Two officers sign: the maker, whose key is first, and another.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        proposal = bank.appointments.dismiss(_held(bank, duty), maker=maker_of(bank, keys))
        return sign_and_show(bank, proposal, keys)


def _institution(bank: Bank, duty: Duty, text: str | None) -> tuple[int | None, int]:
    """Return the number of an operator of the issuer's own, or the id of an institution."""
    from sycee.identity.appointments import ISSUER_OPERATORS
    from sycee.identity.duties import Duty

    if text is None:
        return None, 0
    if text in map(str, ISSUER_OPERATORS):
        if duty is not Duty.OPERATOR:
            raise UsageError(f"{duty.value} is no duty of the issuer's operator {text}", hint="appoint an operator")
        return int(text), 0
    return None, bank.institutions.find("merchant" if duty is Duty.MERCHANT else "operator", text).id


def _held(bank: Bank, text: str) -> int:
    """Return the id of a duty that a person has, by its id or name."""
    found = [held.id for held in bank.people.holders() if text in (ids.format(held.id), str(held))]
    if len(found) != 1:
        raise UsageError(
            f"{len(found)} persons have the duty {text!r}" if found else f"nobody has the duty {text!r} now",
            hint="give the id that `sycee officer list` shows",
        )
    return found[0]
