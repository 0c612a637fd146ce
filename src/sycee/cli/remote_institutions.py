"""Institutions and duties of persons over a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import Parameter

from sycee.cli.lazy import api, ids
from sycee.cli.parameters import AsJson
from sycee.cli.remote_options import (
    ActionId,
    Login,
    Until,
    connected,
    group,
    instant,
    number_of,
    perform,
    propose,
    show_rows,
)
from sycee.cli.shares import owners_of, percent
from sycee.cli.terminal import note, show, show_json
from sycee.core.errors import UsageError

if TYPE_CHECKING:
    from sycee.client import Client

Name: TypeAlias = Annotated[str, Parameter(name="INSTITUTION", help="Id or name of the institution.")]

institution = group("institution", "Enter institutions, and decide their due diligence.")
officer = group("officer", "Appoint officers and other staff, and dismiss them.")
groups = (institution, officer)


@institution.command
def add(
    name: Annotated[str, Parameter(help="Public name of the institution.")], /, *, login: Login,
    kind: Annotated[str, Parameter(help="operator, merchant, auditor or issuer.")],
    operator: Annotated[int | None, Parameter(help="Of a merchant: number of its operator.")] = None,
    participant: Annotated[str, Parameter(help="Id in the compliance network.")] = "",
    owner: Annotated[
        list[str] | None, Parameter(negative="", help="Owner and share in percent, as ID=60 or new=60.")
    ] = None,
    settlement: Annotated[str, Parameter(help="Account at a bank, which is stored encrypted.")] = "",
    id_: ActionId = "",
) -> int:  # fmt: skip
    """Enter an institution, with its owners and its settlement account. It participates once its checks passed."""
    with connected(login) as bank:
        from sycee.client.calls import fresh_id

        owners = {ids.format(each): share for each, share in owners_of(owner or [], fresh_id).items()}
        made = perform(
            bank,
            api.enter_institution(
                kind, name, operator=operator, participant=participant, owners=owners, settlement=settlement,
                id=number_of(id_),
            ),
        )  # fmt: skip
    show(f"institution {made}: {name}", *(f"owner {each}: {percent(share)}" for each, share in owners.items()))
    return 0


@institution.command
def verify(
    name: Name, /, *, login: Login,
    check: Annotated[str, Parameter(help="Check: papers, owners, or settlement of a merchant.")],
    failed: Annotated[bool, Parameter(negative="", help="The check failed: the institution is refused.")] = False,
    id_: ActionId = "",
) -> int:  # fmt: skip
    """Propose the outcome of a check of an institution. Two persons sign, and no owner of the institution may."""
    with connected(login) as bank:
        id = institution_id(bank, name)
        is_merchant = bank.do(api.institution(id)).kind == "merchant"
        decide = api.decide_merchant_check if is_merchant else api.decide_check
        propose(bank, decide(id, check, passed=not failed, id=number_of(id_)))
    return 0


@institution.command
def account(
    name: Name, number: Annotated[str, Parameter(help="Account at a bank, which is stored encrypted.")], /, *,
    login: Login, id_: ActionId = "",
) -> int:  # fmt: skip
    """State a new settlement account of an institution, which must be verified before money is sent to it."""
    with connected(login) as bank:
        perform(bank, api.state_settlement(institution_id(bank, name), number, id=number_of(id_)))
    show(f"settlement account of {name}: stated")
    return 0


@institution.command
def outlet(
    name: Name, code: Annotated[str, Parameter(help="Code of the outlet, up to 16 letters and digits.")], /, *,
    login: Login, close: Annotated[bool, Parameter(negative="", help="Close the outlet and its tills.")] = False,
    id_: ActionId = "",
) -> int:  # fmt: skip
    """Open an outlet of a merchant, or close it with its tills."""
    with connected(login) as bank:
        merchant, number = institution_id(bank, name), number_of(id_)
        if close:
            perform(bank, api.close_outlet(merchant, _outlet(bank, merchant, code), id=number))
        else:
            show(perform(bank, api.open_outlet(merchant, code, id=number)))
    note(f"outlet {code} is {'closed' if close else 'open'}")
    return 0


@institution.command
def till(
    name: Name, code: Annotated[str, Parameter(help="Outlet and code of the till, as OUTLET/TILL.")], /, *,
    login: Login,
    public_key: Annotated[str, Parameter(help="Public key with which the till signs requests to pay.")] = "",
    close: Annotated[bool, Parameter(negative="", help="Close the till.")] = False,
    id_: ActionId = "",
) -> int:  # fmt: skip
    """Open a till of an outlet, or close it. The id of a new till goes to stdout."""
    from sycee.cli.bank_options import named_key

    outlet_code, slash, till_code = code.partition("/")
    if not slash:
        raise UsageError(f"{code!r} names no till", hint="write OUTLET/TILL, such as west/T1")
    with connected(login) as bank:
        merchant, number = institution_id(bank, name), number_of(id_)
        if close:
            perform(bank, api.close_till(merchant, _till(bank, merchant, outlet_code, till_code), id=number))
        else:
            key = named_key(public_key) if public_key else None
            made = api.open_till(merchant, _outlet(bank, merchant, outlet_code), till_code, key=key, id=number)
            show(perform(bank, made))
    note(f"till {code} is {'closed' if close else 'open'}")
    return 0


@institution.command(name="list")
def list_(
    *, login: Login, kind: Annotated[str, Parameter(help="Only institutions of this kind.")] = "",
    json_: AsJson = False,
) -> int:  # fmt: skip
    """List the institutions with their states."""
    with connected(login) as bank:
        columns = ("name", "kind", "operator", "state", "institution")
        show_rows(bank, "institutions", api.institutions(kind), columns, as_json=json_)
    return 0


@institution.command(name="show")
def show_(name: Name, /, *, login: Login, json_: AsJson = False) -> int:
    """Show an institution: its checks and owners. Of its settlement account only the state is shown."""
    from dataclasses import asdict

    with connected(login) as bank:
        id = institution_id(bank, name)
        found, owners = bank.do(api.institution(id)), bank.do(api.owners(id))
    if json_:
        show_json({**asdict(found), "owners": [asdict(each) for each in owners]})
        return 0
    number = "" if found.operator is None else f", operator {found.operator}"
    show(f"{found.name}: {found.kind}{number}, {found.state}, id {found.institution}")
    if found.participant:
        show(f"participant {found.participant}")
    show(*(f"check {each}: {found.checks.get(each, 'open')}" for each in found.checks_needed))
    show(*(f"owner {each.person}: {percent(each.share_ppm)}" for each in owners))
    show(f"settlement account: {found.settlement}")
    return 0


# --- duties ---


@officer.command(name="add")
def appoint(
    *, login: Login, public_key: Annotated[str, Parameter(help="Public key with which the person signs.")],
    duty: Annotated[str, Parameter(help="Duty: officer, currency-officer, operator, clerk, closer, and so on.")],
    until: Until,
    institution: Annotated[
        str, Parameter(help="Operator or merchant by id or name; 0 and 1 are the issuer's own.")
    ] = "",
    currency: Annotated[str, Parameter(help="Currency of a currency-officer, such as HKD.")] = "",
    person: Annotated[str, Parameter(help="Id of a person who is known already.")] = "", id_: ActionId = "",
) -> int:  # fmt: skip
    """Propose that a person has a duty. Two officers sign."""
    from sycee.cli.bank_options import named_key

    key, until_ns = named_key(public_key), instant(until)
    with connected(login) as bank:
        own = institution in ("0", "1")
        found = institution_id(bank, institution) if institution and not own else ""
        call = api.appoint(
            duty, key, until_ns=until_ns, person=person, institution=found,
            operator=int(institution) if own else None, currency=currency, id=number_of(id_),
        )  # fmt: skip
        propose(bank, call)
    return 0


@officer.command(name="list")
def duties(*, login: Login, json_: AsJson = False) -> int:
    """List the duties that persons have now, for officers and auditors."""
    with connected(login) as bank:
        show_rows(bank, "duties", api.duties(), ("duty", "person", "operator", "currency", "duty_id"), as_json=json_)
    return 0


@officer.command
def end(
    duty: Annotated[str, Parameter(help="Id of the duty, as `sycee officer list` shows it.")], /, *,
    login: Login, id_: ActionId = "",
) -> int:  # fmt: skip
    """Propose the end of a duty. Two officers sign."""
    with connected(login) as bank:
        propose(bank, api.dismiss(duty, id=number_of(id_)))
    return 0


def institution_id(bank: Client, text: str) -> str:
    """Return the id of an institution. Raises UsageError for a name that none has, or several."""
    if len(text) == len(ids.format(0)):
        return text
    found = [each.institution for each in bank.rows(api.institutions()) if each.name == text]
    if len(found) != 1:
        raise UsageError(
            f"{len(found) or 'no'} institutions have the name {text[:40]!r}",
            hint="give the id that `sycee institution list` shows",
        )
    return found[0]


def _outlet(bank: Client, merchant: str, code: str) -> str:
    found = {each.code: each.outlet for each in bank.do(api.merchant(merchant)).outlets}
    return _chosen(found, code, "outlet")


def _till(bank: Client, merchant: str, outlet_code: str, code: str) -> str:
    shop = bank.do(api.merchant(merchant))
    codes = {each.outlet: each.code for each in shop.outlets}
    found = {f"{codes.get(each.outlet, '')}/{each.code}": each.till for each in shop.tills}
    return _chosen(found, f"{outlet_code}/{code}", "till")


def _chosen(found: dict[str, str], code: str, what: str) -> str:
    if code not in found:
        raise UsageError(
            f"the merchant has no open {what} {code[:40]!r}", hint=f"open: {', '.join(sorted(found)) or 'none'}"
        )
    return found[code]
