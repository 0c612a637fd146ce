"""Proposals, programs, logins, cases and operators over a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import Parameter

from sycee.cli.lazy import api, ids
from sycee.cli.parameters import AsJson
from sycee.cli.remote_options import (
    ActionId,
    Login,
    PersonKey,
    connected,
    currency_of,
    group,
    minor_of,
    number_of,
    perform,
    person_of,
    private_key,
    propose,
    show_rows,
)
from sycee.cli.terminal import note, print_table, show, show_json, table
from sycee.core import money
from sycee.core.errors import SyceeError, UsageError

if TYPE_CHECKING:
    from sycee.client.values import SignedProposal
    from sycee.core.records.proposal_format import Proposal

ProposalId: TypeAlias = Annotated[str, Parameter(name="PROPOSAL", help="Id of the proposal.")]
ClaimId: TypeAlias = Annotated[str, Parameter(name="CLAIM", help="Id of the claim.")]
CaseNumber: TypeAlias = Annotated[int, Parameter(name="CASE", help="Number of the case.")]

proposal = group("proposal", "List, show, sign, export and withdraw actions that several persons sign.")
client = group("client", "Register programs that act over HTTP for a person, and end their access.")
invite = group("invite", "Give customers a code for a login, and end logins.")
case = group("case", "Open cases, take steps, and follow claims.")
groups = (proposal, client, invite, case)


@proposal.command(name="list")
def list_(
    *,
    login: Login,
    state: Annotated[str, Parameter(help="Only proposals in this state, such as open.")] = "",
    json_: AsJson = False,
) -> int:
    """List the proposals that the program's person made, signed or may sign."""
    from dataclasses import asdict

    with connected(login) as bank:
        found = list(bank.rows(api.proposals(state)))
    if json_:
        show_json({"proposals": [asdict(each) for each in found]})
        return 0
    made = table("id", "action", "state")
    for each in found:
        made.add_row(each.proposal, each.action, f"{each.state}: {each.code}" if each.code else each.state)
    print_table(made)
    return 0


@proposal.command(name="show")
def show_proposal(
    id: ProposalId,
    /,
    *,
    login: Login,
) -> int:
    """Show the records of a proposal, decoded on this machine, its effect and its digest."""
    with connected(login) as bank:
        _show_proposal(bank.do(api.proposal(id)))
    return 0


@proposal.command
def sign(
    id: ProposalId,
    /,
    *,
    login: Login,
    key: PersonKey,
    digest: Annotated[str, Parameter(help="Refuse a proposal with another digest.")] = "",
) -> int:
    """Show a proposal, and sign it as the program's person. The last signature that is missing completes it."""
    private = private_key(key)
    with connected(login) as bank:
        found = bank.do(api.proposal(id))
        if digest and digest.strip().lower() != found.digest.hex():
            raise UsageError(
                f"the proposal has the digest {found.digest.hex()}, not {digest}",
                hint="sign nothing: ask the maker which proposal you are to sign",
            )
        _show_proposal(found)
        after = bank.do(api.sign(found, person_of(bank, private)))
    _show_signed(after)
    return 0


@proposal.command
def export(
    id: ProposalId, /, *, login: Login, out: Annotated[Path, Parameter(help="New file.")]
) -> int:  # fmt: skip
    """Write a proposal to a file, which a person signs on another machine by `sycee proposal sign FILE`."""
    with connected(login) as bank:
        found = bank.do(api.proposal(id))
    found.save(out)
    show(f"proposal {id}, digest {found.digest.hex()}: {out}")
    return 0


@proposal.command(name="import")
def import_(
    file: Annotated[Path, Parameter(help="File that `sycee proposal sign` wrote.")], /, *, login: Login
) -> int:  # fmt: skip
    """Add a signature from a file; the last one that is missing submits the proposal."""
    from sycee.core.records.proposal_format import ProposalSignature

    signature = ProposalSignature.load(file)
    with connected(login) as bank:
        after = bank.do(api.add_signature(signature))
    _show_signed(after)
    return 0


def _show_signed(after: SignedProposal) -> None:
    """Print the state of a proposal after a signature, and what is missing."""
    if after.state == "refused":
        raise SyceeError(f"the proposal is signed, and refused: {after.code}")
    show(f"signed: the proposal is {after.state}", *(f"needs {each}" for each in after.needs))


@proposal.command
def withdraw(id: ProposalId, /, *, login: Login, id_: ActionId = "") -> int:
    """Withdraw an open proposal, as its maker or as an officer."""
    with connected(login) as bank:
        perform(bank, api.withdraw_proposal(id, id=number_of(id_)))
    show("the proposal is withdrawn")
    return 0


# --- programs and logins ---


@client.command
def register(
    name: Annotated[str, Parameter(help="Name of the program, for example 'core banking'.")], /, *, login: Login,
    person: Annotated[str, Parameter(help="Id of the person for whom the program acts.")],
    public_key: Annotated[str, Parameter(help="Public key of the program, as `sycee key new` prints it.")],
    operator: Annotated[int | None, Parameter(help="Number of the operator for which the person has a duty.")] = None,
    read_only: Annotated[bool, Parameter(negative="", help="The program may only read.")] = False,
    key: PersonKey, id_: ActionId = "",
) -> int:  # fmt: skip
    """Register a program, which can then request access tokens. The person of this login, an officer, signs."""
    from sycee.cli.bank_options import named_key

    program = named_key(public_key)
    with connected(login) as bank:
        officer = person_of(bank, private_key(key))
        call = api.register_client(
            person, name, program, officer, operator=operator, read_only=read_only, id=number_of(id_)
        )
        show(f"client {perform(bank, call)}")
    return 0


@client.command(name="list")
def list_clients(*, login: Login, json_: AsJson = False) -> int:
    """List the registered programs that the program's person may revoke."""
    with connected(login) as bank:
        columns = ("client", "name", "person", "operator", "scopes", "revoked")
        show_rows(bank, "clients", api.clients(), columns, as_json=json_)
    return 0


@client.command
def revoke(
    id: Annotated[str, Parameter(name="CLIENT", help="Id of the client.")], /, *, login: Login, id_: ActionId = ""
) -> int:  # fmt: skip
    """End a program's access immediately. Its key cannot be registered again."""
    with connected(login) as bank:
        perform(bank, api.revoke_client(id, id=number_of(id_)))
    show(f"client {id} is revoked")
    return 0


@invite.command
def issue(
    person: Annotated[str, Parameter(help="Id of the customer.")], /, *, login: Login,
    hours: Annotated[int, Parameter(help="Hours until the code ends, 1 to 336.")] = 24,
) -> int:  # fmt: skip
    """Print the first half of a code with which a customer creates a login, once; the phone gets the second half."""
    with connected(login) as bank:
        made = perform(bank, api.invite(person, hours=hours))
    show(f"first half {made.first_half}")
    note(f"invitation {made.invitation}, from {made.from_} until {made.until}")
    note("the second half goes to the person's phone")
    return 0


@invite.command
def recover(
    person: Annotated[str, Parameter(help="Id of the person.")], /, *, login: Login,
    reason: Annotated[str, Parameter(help="How the identity was proved; no name, number or address.")],
    letter: Annotated[
        bool, Parameter(negative="", help="Permit a letter with the second half, for a person without a phone.")
    ] = False,
    id_: ActionId = "",
) -> int:  # fmt: skip
    """Propose another login for a person who lost every one, or whom no message reaches. Two persons sign."""
    with connected(login) as bank:
        propose(bank, api.recover_login(person, reason, letter=letter, id=number_of(id_)))
    return 0


@invite.command(name="logins")
def list_logins(*, login: Login, json_: AsJson = False) -> int:
    """List the first use of each login: who invited it, and whether the staff was near. For officers and auditors."""
    with connected(login) as bank:
        columns = ("login", "person", "method", "time", "inviter", "near", "near_by")
        show_rows(bank, "logins", api.logins(), columns, as_json=json_)
    return 0


@invite.command(name="list")
def list_invitations(*, login: Login, json_: AsJson = False) -> int:
    """List the invitations of persons whose logins the program's person may end, without their codes."""
    with connected(login) as bank:
        columns = ("invitation", "person", "by", "from", "until", "state")
        show_rows(bank, "invitations", api.invitations(), columns, as_json=json_)
    return 0


@invite.command(name="revoke")
def revoke_invitation(
    invitation: Annotated[str, Parameter(help="Id of the invitation.")], /, *, login: Login, id_: ActionId = ""
) -> int:  # fmt: skip
    """End a code that was not used yet."""
    with connected(login) as bank:
        perform(bank, api.revoke_invitation(invitation, id=number_of(id_)))
    show("the code has ended")
    return 0


@invite.command(name="end-logins")
def end_logins(
    person: Annotated[str, Parameter(help="Id of the person.")], /, *, login: Login, id_: ActionId = ""
) -> int:  # fmt: skip
    """End all sessions, passkeys, provider links and unused codes of a person, after a theft for example."""
    with connected(login) as bank:
        perform(bank, api.end_logins(person, id=number_of(id_)))
    show("the logins have ended")
    return 0


# --- cases ---


@case.command(name="open")
def open_(
    kind: Annotated[str, Parameter(help="Kind of case, such as unauthorised or complaint.")], /, *, login: Login,
    payment: Annotated[str, Parameter(help="Id of the disputed payment.")] = "",
    person: Annotated[str, Parameter(help="Id of the person; of a payment by default its payer.")] = "",
    note: Annotated[str, Parameter(help="Free text, which is stored encrypted.")] = "", id_: ActionId = "",
) -> int:  # fmt: skip
    """Open a case about a payment or a person. The program's person owns it."""
    with connected(login) as bank:
        number = perform(bank, api.open_case(kind, payment=payment, person=person, text=note, id=number_of(id_)))
    show(f"case {number} is open")
    return 0


@case.command
def act(
    number: CaseNumber, step: Annotated[str, Parameter(help="Step, such as hold, uphold or dismiss.")], /, *,
    login: Login,
    amount: Annotated[str, Parameter(help="Part of the payment to hold or return; of a return by default all.")] = "",
    payee: Annotated[str, Parameter(help="To hold money: wallet that the disputed payment paid.")] = "",
    payer: Annotated[str, Parameter(help="To hold money: wallet that the disputed payment came from.")] = "",
    hold: Annotated[str, Parameter(help="To decide held money: the hold, as its step and `case show` print it.")] = "",
    note: Annotated[str, Parameter(help="Free text, which is stored encrypted.")] = "",
    key: Annotated[
        Path | None, Parameter(help="Of a step that holds or releases money: private key of the operator's person.")
    ] = None,
    id_: ActionId = "",
) -> int:  # fmt: skip
    """Take a step in a case. A return without a hold is proposed: two officers sign it.

    A person of the payee's operator signs to hold money, to return what is held (--amount), and to release it.
    """
    if (key is not None) is not bool(hold or payee or payer):
        raise UsageError("--key signs a step about held money", hint="give it with --payee and --payer, or with --hold")
    if key is not None and not hold and not (payee and payer and amount):
        raise UsageError("a hold has a payee, a payer and an amount", hint="give --payee, --payer and --amount")
    with connected(login) as bank:
        minor, id = minor_of(amount, currency_of(bank)) if amount else 0, number_of(id_)
        if key is None:
            call = api.act_in_case(number, step, minor=minor, text=note, id=id)
        else:
            signer = person_of(bank, private_key(key))
            call = (
                api.decide_held_case(number, step, hold=hold, minor=minor, signer=signer, text=note, id=id)
                if hold
                else api.hold_in_case(
                    number, step, payee=payee, payer=payer, minor=minor, signer=signer, text=note, id=id
                )
            )
        made = perform(bank, call)
    show(f"case {made.case} is {made.state}")
    if key is not None and not hold:
        show(f"hold {call.id}")
    if made.proposal:
        show(f"proposal {made.proposal} needs: {', '.join(made.needs)}")
    return 0


@case.command
def collect(claim: ClaimId, /, *, login: Login, id_: ActionId = "") -> int:
    """Propose to take the money of a claim that the payee has now. Two officers sign."""
    with connected(login) as bank:
        propose(bank, api.collect_claim(claim, id=number_of(id_)))
    return 0


@case.command(name="write-off")
def write_off(claim: ClaimId, /, *, login: Login, id_: ActionId = "") -> int:
    """End a claim that nobody can collect. The claimant bears the rest."""
    with connected(login) as bank:
        show(f"claim {perform(bank, api.write_claim_off(claim, id=number_of(id_)))} is written off")
    return 0


@case.command(name="list")
def list_cases(
    *, login: Login,
    due: Annotated[bool, Parameter(negative="", help="Only open cases whose deadline is reached.")] = False,
    all_: Annotated[bool, Parameter(name="--all", negative="", help="Also decided cases.")] = False,
    json_: AsJson = False,
) -> int:  # fmt: skip
    """List the cases that the program's person owns, is concerned by or serves."""
    with connected(login) as bank:
        columns = ("case", "kind", "state", "opened", "deadline")
        show_rows(bank, "cases", api.cases(decided=all_, due=due), columns, as_json=json_)
    return 0


@case.command(name="show")
def show_case(
    number: CaseNumber, /, *, login: Login,
    notes: Annotated[
        bool, Parameter(negative="", help="Show the free texts, after an entry in the access log for each.")
    ] = False,
    json_: AsJson = False,
) -> int:  # fmt: skip
    """Show a case with its events."""
    from dataclasses import asdict

    with connected(login) as bank:
        found = bank.do(api.case(number))
        texts = {each.number: each.text for each in bank.do(api.case_texts(number))} if notes else {}
        currency = currency_of(bank) if found.held else None
    if json_:
        members = asdict(found)
        events = [{**each, "note": texts.get(each["number"], "")} for each in members["events"]]
        show_json({**members, "events": events} if notes else members)
        return 0
    show(f"case {number}, {found.kind}: {found.state}, opened {found.opened}, deadline {found.deadline or 'none'}")
    if currency is not None:
        show(f"hold {found.hold}: {money.with_code(found.held, currency)}")
    for each in found.events:
        show(f"  {each.time}  {each.what}", *([f"  {texts[each.number]}"] if each.number in texts else ()))
    return 0


@case.command
def claims(
    *, login: Login,
    all_: Annotated[bool, Parameter(name="--all", negative="", help="Also claims that were ended.")] = False,
    json_: AsJson = False,
) -> int:  # fmt: skip
    """List the claims: money that returns did not find, and the part collected since."""
    with connected(login) as bank:
        columns = ("claim", "case", "payment", "minor", "state")
        show_rows(bank, "claims", api.claims(ended=all_), columns, as_json=json_)
    return 0


def _show_proposal(found: Proposal) -> None:
    """Print what the signed bytes mean: nothing of it is the server's description."""
    from sycee.core.records import describe
    from sycee.core.timestamps import utc_text

    show(f"{found.action}, proposal {ids.format(found.id)}, until {utc_text(found.valid_until_ns)}")
    show(*describe.lines(found.records))
    show(f"effect {found.effect_text.decode('ascii')}", f"digest {found.digest.hex()}")
