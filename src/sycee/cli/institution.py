"""`sycee institution`: enter institutions, and decide their due diligence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, named_key, open_bank
from sycee.cli.lazy import ids
from sycee.cli.parameters import AsJson
from sycee.cli.proposing import maker_of, sign_and_show, signing_keys
from sycee.cli.shares import owners_of, percent
from sycee.cli.terminal import print_table, show, show_json, table
from sycee.core.errors import UsageError

if TYPE_CHECKING:
    from sycee.bank.bank import Bank
    from sycee.identity.institutions import Institution, SettlementAccount

app = App(name="institution", help="Enter institutions, and decide their due diligence.")

Name = Annotated[str, Parameter(help="Name or id of the institution.")]


@app.command
def add(
    folder: BankFolder,
    name: Annotated[str, Parameter(help="Public name of the institution.")],
    /,
    *,
    kind: Annotated[str, Parameter(help="operator, merchant, auditor or issuer.")],
    operator: Annotated[str | None, Parameter(help="Of a merchant: name or number of its operator.")] = None,
    participant: Annotated[str, Parameter(help="Id in the compliance network.")] = "",
    owner: Annotated[
        list[str] | None, Parameter(negative="", help="Owner and share in percent, as ID=60 or new=60.")
    ] = None,
    settlement: Annotated[str | None, Parameter(help="Account at a bank, which is stored encrypted.")] = None,
    key: KeyFiles = None,
) -> int:
    """Enter an institution, with its owners and its settlement account.

    It participates once its due diligence passed: `sycee institution verify`.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        by = maker_of(bank, keys)
        id = bank.stores.ledger.new_id()
        account = _sealed(bank, id, settlement) if settlement else None
        owners = owners_of(owner or [], bank.stores.ledger.new_id)
        bank.institutions.add(
            kind,
            name,
            by=by,
            operator=bank.institutions.find("operator", operator).operator if operator else None,
            participant=participant,
            owners=owners,
            settlement=account,
            id=id,
        )
        show(f"institution {ids.format(id)}: {name}")
        for person, share in owners.items():
            show(f"owner {ids.format(person)}: {percent(share)}")
    return 0


@app.command
def verify(
    folder: BankFolder,
    name: Name,
    /,
    *,
    check: Annotated[list[str], Parameter(negative="", help="Check: papers, owners or settlement; may be repeated.")],
    failed: Annotated[bool, Parameter(negative="", help="The checks failed: the institution is refused.")] = False,
    key: KeyFiles = None,
) -> int:
    """Propose the outcome of checks of an institution: one proposal for each.

    Two persons sign, and no owner of the institution may. It is approved once all its checks passed.
    """
    from sycee.identity.institutions import FAILED, PASSED

    keys = signing_keys(key)
    with open_bank(folder) as bank:
        found = _find(bank, name)
        maker = maker_of(bank, keys)
        for each in check:
            proposal = bank.institutions.decide(found.id, each, FAILED if failed else PASSED, maker=maker)
            sign_and_show(bank, proposal, keys)
        show(f"{found.name} is {bank.institutions.get(found.id).state}")
    return 0


@app.command
def account(
    folder: BankFolder,
    name: Name,
    number: Annotated[str, Parameter(help="Account at a bank, which is stored encrypted.")],
    /,
    *,
    key: KeyFiles = None,
) -> int:
    """State a new settlement account of an institution, which must be verified before money is sent to it."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        found = _find(bank, name)
        bank.institutions.state_settlement(found.id, _sealed(bank, found.id, number), by=maker_of(bank, keys))
        show(f"settlement account of {found.name}: stated")
    return 0


@app.command
def outlet(
    folder: BankFolder,
    name: Name,
    code: Annotated[str, Parameter(help="Code of the outlet, up to 16 letters and digits.")],
    /,
    *,
    close: Annotated[bool, Parameter(negative="", help="Close the outlet and its tills.")] = False,
    key: KeyFiles = None,
) -> int:
    """Open an outlet of a merchant, or close it with its tills.

    The merchant's own staff does, or its operator's.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        by, found = maker_of(bank, keys), _find(bank, name)
        if close:
            bank.institutions.close_outlet(_outlet(bank, found, code), by=by)
        else:
            bank.institutions.add_outlet(found.id, code, by=by)
        show(f"outlet {code} of {found.name} {'closed' if close else 'open'}")
    return 0


@app.command
def till(
    folder: BankFolder,
    name: Name,
    code: Annotated[str, Parameter(help="Outlet and code of the till, as OUTLET/TILL.")],
    /,
    *,
    public_key: Annotated[str | None, Parameter(help="Public key with which the till signs requests to pay.")] = None,
    close: Annotated[bool, Parameter(negative="", help="Close the till.")] = False,
    key: KeyFiles = None,
) -> int:
    """Open a till of an outlet, or close it.

    The merchant's own staff does, or its operator's.
    """
    keys = signing_keys(key)
    outlet_code, slash, till_code = code.partition("/")
    if not slash:
        raise UsageError(f"{code!r} names no till", hint="write OUTLET/TILL, such as west/T1")
    with open_bank(folder) as bank:
        by, found = maker_of(bank, keys), _find(bank, name)
        if close:
            bank.institutions.close_till(bank.institutions.find_till(found.id, code).id, by=by)
        else:
            signs = named_key(public_key) if public_key else None
            bank.institutions.add_till(_outlet(bank, found, outlet_code), till_code, by=by, key=signs)
        show(f"till {code} of {found.name} {'closed' if close else 'open'}")
    return 0


@app.command(name="list")
def list_(
    folder: BankFolder,
    /,
    *,
    kind: Annotated[str | None, Parameter(help="Only institutions of this kind.")] = None,
    json_: AsJson = False,
) -> int:
    """List the institutions with their states."""
    with open_bank(folder) as bank:
        rows = [_row(each) for each in bank.institutions.list(kind)]
    if json_:
        show_json({"institutions": rows})
        return 0
    made = table("name", "kind", "operator", "state", "id")
    for row in rows:
        number = "" if row["operator"] is None else str(row["operator"])
        made.add_row(row["name"], row["kind"], number, row["state"], row["id"])
    print_table(made)
    return 0


@app.command(name="show")
def show_(folder: BankFolder, name: Name, /, *, json_: AsJson = False) -> int:
    """Show an institution: its checks, owners, outlets and tills.

    A settlement account is not shown, only its state.
    """
    with open_bank(folder) as bank:
        found, services = _find(bank, name), bank.institutions
        settlement = services.settlement_of(found.id)
        members: dict[str, Any] = {
            **_row(found),
            "participant": found.participant,
            "checks": services.checks_of(found.id),
            "owners": {ids.format(person): percent(share) for person, share in services.owners_of(found.id).items()},
            "settlement": settlement.state if settlement else "none",
            "tills": [f"{till.outlet_code}/{till.code}" for till in services.tills_of(found.id)],
        }
        needed = sorted(found.checks_needed)
    if json_:
        show_json(members)
        return 0
    number = "" if found.operator is None else f", operator {found.operator}"
    show(f"{found.name}: {found.kind}{number}, {found.state}, id {members['id']}")
    if found.participant:
        show(f"participant {found.participant}")
    show(*(f"check {each}: {members['checks'].get(each, 'open')}" for each in needed))
    show(*(f"owner {person}: {share}" for person, share in members["owners"].items()))
    show(f"settlement account: {members['settlement']}")
    show(*(f"till {till}" for till in members["tills"]))
    return 0


def _row(found: Institution) -> dict[str, Any]:
    return {
        "name": found.name,
        "kind": found.kind,
        "operator": found.operator,
        "state": found.state,
        "id": ids.format(found.id),
    }


def _find(bank: Bank, text: str) -> Institution:
    """Return the institution of any kind with this name or id."""
    from sycee.core import typos

    every = bank.institutions.list()
    found = [each for each in every if text in (each.name, ids.format(each.id))]
    if len(found) == 1:
        return found[0]
    names = [each.name for each in every]
    raise UsageError(
        f"{len(found)} institutions are named {text!r}" if found else f"there is no institution {text!r}",
        hint="give its id" if found else typos.hint(text, names, "`sycee institution list` shows them"),
    )


def _outlet(bank: Bank, merchant: Institution, code: str) -> int:
    """Return the id of a merchant's open outlet. Raises UsageError if there is none with this code."""
    outlets = bank.institutions.outlets_of(merchant.id)
    if code not in outlets:
        raise UsageError(
            f"{merchant.name} has no open outlet {code!r}",
            hint=f"open outlets: {', '.join(outlets) or 'none'}; `sycee institution outlet` opens one",
        )
    return outlets[code]


def _sealed(bank: Bank, institution: int, text: str) -> SettlementAccount:
    from sycee.personal import settlement_accounts

    return settlement_accounts.sealed(bank.personal, institution, text)
