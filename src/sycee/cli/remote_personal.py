"""Personal data and events of persons' lives over a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import Parameter

from sycee.cli.lazy import api
from sycee.cli.parameters import AsJson
from sycee.cli.person_options import chosen_key, wrong_kind
from sycee.cli.remote_options import (
    ActionId,
    Login,
    Operator,
    PersonKey,
    WalletId,
    connected,
    group,
    instant,
    number_of,
    perform,
    person_of,
    private_key,
    propose,
    show_rows,
)
from sycee.cli.terminal import note, print_table, show, show_json, table

if TYPE_CHECKING:
    pass

PersonId: TypeAlias = Annotated[str, Parameter(name="PERSON", help="Id of the person.")]
CaseNumber: TypeAlias = Annotated[int, Parameter(name="--case", help="Number of the open case.")]
ReasonName: TypeAlias = Annotated[
    str, Parameter(help="Why: complaint, dispute, recovery, deceased, court-order or due-diligence.")
]
End: TypeAlias = Annotated[
    str, Parameter(name="--until", help="End, a time with its offset; without it there is none.")
]

person = group("person", "Read, log and delete personal data; lost phones, deaths, court orders.")


@person.command(name="show")
def show_(
    id: PersonId, /, *, login: Login,
    field: Annotated[
        list[str],
        Parameter(
            negative="", help="Field to read: name, phone, paper, paper_kind, birth or address; may be repeated."
        ),
    ],
    reason: ReasonName, case: CaseNumber, json_: AsJson = False,
) -> int:  # fmt: skip
    """Read fields of a person, after an entry in the access log, for a case about the person."""
    with connected(login) as bank:
        found = bank.do(api.read_person(id, field, reason=reason, case=case))
    if json_:
        show_json({"person": found.person, "fields": dict(found.fields)})
        return 0
    made = table("field", "value")
    for name, text in found.fields.items():
        made.add_row(name, text)
    print_table(made)
    return 0


@person.command
def find(
    text: Annotated[str, Parameter(help='A phone, a paper ("passport:E1234567"), or "1990-12-31 Wang Li".')], /, *,
    login: Login, by: Annotated[str, Parameter(help="Kind of the text: phone, paper or birth.")] = "phone",
    reason: ReasonName, case: CaseNumber, json_: AsJson = False,
) -> int:  # fmt: skip
    """Find persons by phone, by paper, or by birth and name. Everyone who is found gets an entry in the access log."""
    with connected(login) as bank:
        kind = "name-and-birth" if by == "birth" else by
        found = bank.do(api.find_persons(kind, text, reason=reason, case=case))
    if json_:
        show_json({"persons": list(found)})
        return 0
    show(*found)
    note(f"{len(found):,} found")
    return 0


@person.command
def log(id: PersonId, /, *, login: Login, json_: AsJson = False) -> int:
    """Show who read the data of a person, when, which fields and why, and who invited the reader's login.

    Also of the program's own person, or a ward.
    """
    with connected(login) as bank:
        from sycee.client import NotFound, NotPermitted

        if id == bank.do(api.session()).person:
            call = api.own_access_log()
        else:
            try:
                bank.do(call := api.access_log(id))
            except (NotPermitted, NotFound):
                call = api.ward_access_log(id)
        columns = ("number", "time", "who", "fields", "reason", "case", "inviter")
        show_rows(bank, "entries", call, columns, as_json=json_)
    return 0


@person.command
def due(*, login: Login, json_: AsJson = False) -> int:
    """List the persons whose retention is over and who are under no legal hold."""
    with connected(login) as bank:
        found = bank.do(api.due_for_shredding())
    if json_:
        show_json({"persons": list(found)})
        return 0
    show(*found)
    return 0


@person.command
def shred(
    id: PersonId, /, *, login: Login,
    basis: Annotated[str, Parameter(help="Why now: the basis whose period is over.")] = "relation-ended",
    id_: ActionId = "",
) -> int:  # fmt: skip
    """Delete the secret of a person, so that no copy of the data can be read again, not even from a backup.

    Refused while retention runs and under a legal hold. The program's person has the duty privacy.
    """
    with connected(login) as bank:
        show(f"{perform(bank, api.shred_person(id, basis=basis, id=number_of(id_)))} is shredded")
    return 0


@person.command
def hold(
    id: PersonId, /, *, login: Login,
    case: Annotated[int, Parameter(name="--case", help="Number of the open case; without it the holds are listed.")] = (
        0
    ),
    until: End = "", id_: ActionId = "", json_: AsJson = False,
) -> int:  # fmt: skip
    """Propose a legal hold, which stops shredding. Two persons sign; without a case the holds are listed."""
    until_ns = instant(until) if until else None
    with connected(login) as bank:
        if case:
            propose(bank, api.hold_data(id, case=case, until_ns=until_ns, id=number_of(id_)))
        else:
            columns = ("hold", "case", "from_ns", "until_ns")
            show_rows(bank, "holds", api.legal_holds(id), columns, as_json=json_)
    return 0


@person.command
def release(
    hold: Annotated[str, Parameter(help="Id of the legal hold.")], /, *, login: Login, id_: ActionId = ""
) -> int:
    """Propose to end a legal hold. Two persons sign."""
    with connected(login) as bank:
        propose(bank, api.release_data(hold, id=number_of(id_)))
    return 0


@person.command
def delay(
    id: PersonId, /, *, login: Login, case: CaseNumber,
    until: Annotated[str, Parameter(help="End of the delay, a time with its offset.")], id_: ActionId = "",
) -> int:  # fmt: skip
    """Propose to hide the entries of one case from the person until a time. Two persons sign."""
    until_ns = instant(until)
    with connected(login) as bank:
        propose(bank, api.delay_log(id, case=case, until_ns=until_ns, id=number_of(id_)))
    return 0


# --- events of a life ---


@person.command
def lost(
    wallet: WalletId, /, *, login: Login,
    new_key: Annotated[str, Parameter(help="File with the new private key, or the public key as text with --proof.")],
    proof: Annotated[str, Parameter(help="Signature of the new key in hexadecimal digits, if it is elsewhere.")] = "",
    case: CaseNumber, key: PersonKey, id_: ActionId = "",
) -> int:  # fmt: skip
    """Give a wallet whose phone was lost a new key. For 24 hours it can spend packets only.

    The operator has seen a new proof of identity, and its person signs. A notice goes to the phone number on record.
    """
    with connected(login) as bank:
        public, signature = chosen_key(new_key, proof, lambda private: bank.do(api.prove_key(wallet, private)))
        signer = person_of(bank, private_key(key))
        made = perform(bank, api.recover(wallet, public, signature, signer, case=case, id=number_of(id_)))
    show(f"wallet {wallet} has the key {public}; packets only until {made.until}")
    return 0


@person.command
def recovered(wallet: WalletId, /, *, login: Login, key: PersonKey, id_: ActionId = "") -> int:
    """Finish the recovery of a wallet whose stored signatures have expired. A person of its operator signs."""
    with connected(login) as bank:
        signer = person_of(bank, private_key(key))
        made = perform(bank, api.finish_recovery(wallet, signer, id=number_of(id_)))
    show(f"wallet {wallet} is {'as before' if made.accounts else 'under no recovery'}")
    return 0


@person.command
def deceased(
    id: PersonId, /, *, login: Login, operator: Operator, case: CaseNumber, key: PersonKey, id_: ActionId = ""
) -> int:
    """Block the wallets of a deceased person at one operator. Money still arrives, for the estate."""
    with connected(login) as bank:
        signer, every = person_of(bank, private_key(key)), list(bank.rows(api.wallets(id)))
        mine = [each.wallet for each in every if each.operator == operator and each.state == "open"]
        call = api.record_death(id, operator, mine, signer, case=case, id=number_of(id_))
        made = perform(bank, call)
    show(*(f"wallet {each} is blocked" for each in made.accounts))
    if len(every) > len(mine):
        note("note: the person has or had further wallets, for which other operators sign")
    return 0


@person.command
def block(
    wallet: WalletId, /, *, login: Login, kind: Annotated[str, Parameter(help="Why: court-order or dormant.")],
    case: Annotated[int, Parameter(name="--case", help="Number of the open case.")] = 0,
    key: PersonKey, id_: ActionId = "",
) -> int:  # fmt: skip
    """Block the debits of a wallet, by court order or because nobody has used it for long. The operator signs."""
    with connected(login) as bank:
        signer, number = person_of(bank, private_key(key)), number_of(id_)
        if kind == "court-order":
            perform(bank, api.record_court_order(wallet, signer, case=case, id=number))
        elif kind == "dormant":
            perform(bank, api.mark_dormant(wallet, signer, id=number))
        else:
            raise wrong_kind(kind, "court-order or dormant")
    show(f"wallet {wallet} is blocked: {kind}")
    return 0


@person.command
def unblock(
    wallet: WalletId, /, *, login: Login,
    kind: Annotated[str, Parameter(help="Which block: court-order, dormant or deceased.")],
    case: Annotated[int, Parameter(name="--case", help="Number of the open case.")] = 0,
    key: Annotated[Path | None, Parameter(help="Your private key; a court order needs none: officers sign.")] = None,
    id_: ActionId = "",
) -> int:  # fmt: skip
    """Lift a block. The operator signs; a court order is lifted by officers, as a proposal."""
    with connected(login) as bank:
        number = number_of(id_)
        if kind == "court-order":
            propose(bank, api.lift_court_order(wallet, case=case, id=number))
            return 0
        if kind not in ("dormant", "deceased"):
            raise wrong_kind(kind, "court-order, dormant or deceased")
        signer = person_of(bank, private_key(key))
        if kind == "dormant":
            perform(bank, api.end_dormancy(wallet, signer, id=number))
        else:
            perform(bank, api.release_estate(wallet, signer, case=case, id=number))
    show(f"wallet {wallet} is no longer blocked: {kind}")
    return 0


@person.command
def guardian(
    id: PersonId, guardian: Annotated[str, Parameter(help="Id of the guardian.")], /, *, login: Login, until: End = "",
    id_: ActionId = "",
) -> int:  # fmt: skip
    """Propose that a person acts for another: a guardian reads the ward's access log. Two persons sign."""
    until_ns = instant(until) if until else None
    with connected(login) as bank:
        propose(bank, api.propose_guardian(id, guardian, until_ns=until_ns, id=number_of(id_)))
    return 0


@person.command
def notices(
    *, login: Login,
    again: Annotated[str, Parameter(help="Id of a dead letter that waits again.")] = "",
    json_: AsJson = False, id_: ActionId = "",
) -> int:  # fmt: skip
    """List the notices that were not delivered, without phones, or have a dead letter sent again."""
    with connected(login) as bank:
        if again:
            perform(bank, api.send_message_again(again, id=number_of(id_)))
            show("the notice waits again")
            return 0
        columns = ("message", "person", "text", "at", "state", "attempts", "reason")
        show_rows(bank, "notices", api.undelivered_messages(), columns, as_json=json_)
    return 0
