"""`sycee case`: open cases, take steps, and follow claims."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import App, Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, local_time, open_bank, positive_amount
from sycee.cli.lazy import ids
from sycee.cli.parameters import AsJson
from sycee.cli.person_options import access_of, case_number, person_with
from sycee.cli.proposing import sign_and_show, signing_keys
from sycee.cli.terminal import print_list, print_table, show_json, table
from sycee.cli.terminal import show as show_lines
from sycee.core import money
from sycee.core.errors import UsageError

if TYPE_CHECKING:
    from sycee.bank.bank import Bank
    from sycee.cases.service import Case
    from sycee.core.keys import SigningKey

app = App(name="case", help="Open cases, take steps, and follow claims.")

CaseText: TypeAlias = Annotated[str, Parameter(name="CASE", help="Number of the case.")]
Note: TypeAlias = Annotated[str, Parameter(help="Free text, which is stored encrypted.")]
ClaimText: TypeAlias = Annotated[str, Parameter(help="Id of the claim, which `sycee case claims` prints.")]


@app.command(name="open")
def open_(
    folder: BankFolder,
    kind: Annotated[str, Parameter(help="Kind of case, such as unauthorised or complaint.")],
    /,
    *,
    payment: Annotated[str, Parameter(help="Id of the disputed payment.")] = "",
    person: Annotated[str, Parameter(help="Id of the person; of a payment by default its payer.")] = "",
    note: Note = "",
    key: KeyFiles = None,
) -> int:
    """Open a case about a payment or a person. The person of the key owns it.

    While a case is open, its workers may read personal data of its person and of both sides of its payment. Each access
    needs a reason and is logged.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        number = bank.cases.open(
            kind,
            by=person_with(bank, keys[0]),
            person=ids.parse(person) if person else 0,
            payment=ids.parse(payment) if payment else 0,
            text=note,
        )
        _show_case(bank, bank.cases.get(number))
    return 0


@app.command
def act(
    folder: BankFolder,
    case: CaseText,
    step: Annotated[str, Parameter(help="Step, such as hold, uphold or dismiss.")],
    /,
    *,
    amount: Annotated[str, Parameter(help="Part of the payment to hold or return; all of it by default.")] = "",
    note: Note = "",
    key: KeyFiles = None,
) -> int:
    """Take a step in a case: the first key is of its worker, the others sign the operation of the step.

    The payee's operator signs to hold and release money. Without a hold, two officers sign a return.
    """
    from sycee.core.records.proposal_format import Proposal

    keys = signing_keys(key)
    with open_bank(folder) as bank:
        signing = _with_roles(bank, keys)
        officers = [each for each in signing if _is_officer(bank, each)]
        result = bank.cases.act(
            case_number(case),
            step,
            who=bank.people.person_of_key(keys[0].public),
            signers=bank.signers(*(each for each in signing if each not in officers)),
            text=note,
            minor=positive_amount(bank, amount) if amount else 0,
        )
        if isinstance(result, Proposal):
            return sign_and_show(bank, result, officers)
        _show_case(bank, result)
    return 0


@app.command
def show(
    folder: BankFolder,
    case: CaseText,
    /,
    *,
    notes: Annotated[bool, Parameter(negative="", help="Show the free texts, after an entry in the access log.")] = (
        False
    ),
    key: KeyFiles = None,
    json_: AsJson = False,
) -> int:
    """Show a case with its events. With --notes, --key is of the person who reads the texts."""
    number = case_number(case)
    with open_bank(folder) as bank:
        found = bank.cases.get(number)
        zone = bank.config.text("zone")
        events: list[dict[str, Any]] = []
        for event in bank.cases.events(number):
            text = ""
            if notes and event.sealed:
                access = access_of(bank, signing_keys(key)[0], "dispute", case)
                text = bank.cases.text_of(number, event, access=access)
            events.append(
                {
                    "time": local_time(event.at_ns, zone),
                    "what": event.what,
                    "who": ids.format(event.who),
                    "detail": dict(event.detail),
                    "note": text,
                }
            )
        if json_:
            show_json(_as_json(bank, found) | {"events": events})
            return 0
        _show_case(bank, found)
        for each in events:
            detail = ", ".join(f"{name} {value}" for name, value in each["detail"].items())
            show_lines(f"{each['time']}  {each['what']}{f'  ({detail})' if detail else ''}  by {each['who']}")
            if each["note"]:
                show_lines(f"  {each['note']}")
    return 0


@app.command(name="list")
def list_(
    folder: BankFolder,
    /,
    *,
    due: Annotated[bool, Parameter(negative="", help="Only open cases whose deadline is reached.")] = False,
    all_: Annotated[bool, Parameter(name="--all", negative="", help="Also decided cases.")] = False,
    json_: AsJson = False,
) -> int:
    """List the open cases with their deadlines."""
    with open_bank(folder) as bank:
        cases = bank.cases.due(bank.stores.clock.now_ns()) if due else bank.cases.list(only_open=not all_)
        if json_:
            show_json({"cases": [_as_json(bank, case) for case in cases]})
            return 0
        rows = table("case", "kind", "state", "deadline", "person")
        for case in cases:
            shown = _as_json(bank, case)
            rows.add_row(str(case.number), case.kind, case.state, shown["deadline"], shown["person"])
        print_table(rows)
    return 0


@app.command
def claims(
    folder: BankFolder,
    /,
    *,
    all_: Annotated[bool, Parameter(name="--all", negative="", help="Also claims that were ended.")] = False,
    json_: AsJson = False,
) -> int:
    """List the claims: money that returns did not find, and the part collected since."""
    with open_bank(folder) as bank:
        currency = bank.config.currency
        found = [
            {
                "id": ids.format(claim.reverse),
                "case": claim.case,
                "amount": money.format(claim.minor, currency),
                "collected": money.format(claim.recovered, currency),
                "left": money.format(claim.missing_minor, currency),
                "state": claim.state,
            }
            for claim in bank.claims.list(only_open=not all_)
        ]
    amounts = ("amount", "collected", "left")
    return print_list("claims", found, "claim", "case", *amounts, "state", numbers=amounts, as_json=json_)


@app.command
def collect(folder: BankFolder, claim: ClaimText, /, *, key: KeyFiles = None) -> int:
    """Propose to collect a claim from the money that the payee has now. Two officers sign.

    A job makes the same proposal every day on which there is money.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        maker = bank.people.person_of_key(keys[0].public)
        proposal = bank.claims.collect(ids.parse(claim), maker=maker)
        return sign_and_show(bank, proposal, _with_roles(bank, keys))


@app.command(name="write-off")
def write_off(folder: BankFolder, claim: ClaimText, /, *, key: KeyFiles = None) -> int:
    """End a claim that nobody can collect. The key is of an officer or a caseworker."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        left = bank.claims.get(ids.parse(claim)).missing_minor
        bank.claims.write_off(ids.parse(claim), who=bank.people.person_of_key(keys[0].public))
        show_lines(f"written off: {money.with_code(left, bank.config.currency)}")
    return 0


def _with_roles(bank: Bank, keys: Sequence[SigningKey]) -> list[SigningKey]:
    """Return the keys of persons who have a role of the ledger: others do not sign operations."""
    chosen = []
    for key in keys:
        try:
            bank.signers(key)
        except UsageError:
            continue
        chosen.append(key)
    return chosen


def _is_officer(bank: Bank, key: SigningKey) -> bool:
    """Return whether the key's person is an officer: officers sign returns, operators what is held."""
    return any(each.duty == "officer" for each in bank.people.duties_of(bank.people.person_of_key(key.public)))


def _show_case(bank: Bank, case: Case) -> None:
    shown = _as_json(bank, case)
    deadline = f"; deadline {shown['deadline']}" if shown["deadline"] else ""
    held = f"; {shown['held']} {bank.config.currency.code} held" if case.hold and case.is_open else ""
    show_lines(f"case {case.number}: {case.kind}, {case.state}{deadline}{held}")


def _as_json(bank: Bank, case: Case) -> dict[str, Any]:
    hold = bank.stores.ledger.find_hold(case.hold) if case.hold else None
    return {
        "case": case.number,
        "kind": case.kind,
        "state": case.state,
        "open": case.is_open,
        "deadline": local_time(case.deadline_ns, bank.config.text("zone")) if case.deadline_ns else "",
        "person": ids.format(case.person),
        "payment": ids.format(case.payment) if case.payment else "",
        "held": money.format(hold.held if hold else 0, bank.config.currency),
        "steps": [step.name for step in bank.cases.rules.kind(case.kind).steps_from(case.state)],
    }
