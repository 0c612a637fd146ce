"""`sycee proposal`: the queue of actions that several persons sign."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from sycee.cli.bank_options import BankFolder, local_time, open_bank
from sycee.cli.lazy import ids
from sycee.cli.parameters import AsJson
from sycee.cli.proposing import show_answer
from sycee.cli.terminal import print_table, show, show_json, table
from sycee.core.errors import UsageError
from sycee.core.output_files import require_outputs

if TYPE_CHECKING:
    from sycee.bank.bank import Bank
    from sycee.core.keys import SigningKey
    from sycee.core.records.proposal_format import Proposal
    from sycee.identity.proposals import StoredProposal

app = App(name="proposal", help="Show, sign and withdraw actions that several persons sign.")

Id = Annotated[str, Parameter(help="Id of the proposal.")]
Out = Annotated[Path, Parameter(help="New file.")]


@app.command(name="list")
def list_(
    folder: BankFolder,
    /,
    *,
    state: Annotated[str | None, Parameter(help="Only proposals in this state, such as open.")] = None,
    json_: AsJson = False,
) -> int:
    """List proposals, with the signatures that open ones still need."""
    from sycee.identity.tables import PROPOSAL_STATES

    if state is not None and state not in PROPOSAL_STATES:
        raise UsageError(f"{state!r} is not a state of a proposal", hint=f"use one of: {', '.join(PROPOSAL_STATES)}")
    with open_bank(folder) as bank:
        rows: list[dict[str, Any]] = [
            {
                "id": ids.format(stored.id),
                "action": stored.proposal.action,
                "state": stored.state,
                "reason": stored.reason,
                "missing": list(bank.proposals.missing(stored.id).needs),
                "valid_until": local_time(stored.proposal.valid_until_ns, bank.config.text("zone")),
            }
            for stored in bank.proposals.list(state)
        ]
    if json_:
        show_json({"proposals": rows})
        return 0
    made = table("id", "action", "state", "valid until", "missing")
    for row in rows:
        reason = f": {row['reason']}" if row["reason"] else ""
        made.add_row(row["id"], row["action"], f"{row['state']}{reason}", row["valid_until"], "; ".join(row["missing"]))
    print_table(made)
    return 0


@app.command(name="show")
def show_(
    place: Annotated[Path, Parameter(help="The bank's data folder, or an exported file.")],
    id: Annotated[str | None, Parameter(help="Id of the proposal, where a data folder is named.")] = None,
    /,
    *,
    json_: AsJson = False,
) -> int:
    """Decode the records of a proposal: the shown text follows from the signed bytes alone.

    An exported file needs no data folder and no database.
    """
    if id is None:
        proposal = _load(place)
        _print(proposal, _decoded(proposal), None, json_)
        return 0
    with open_bank(place) as bank:
        stored = bank.proposals.get(_parsed(id))
        _print(stored.proposal, list(bank.proposals.lines(stored.proposal)), (bank, stored), json_)
    return 0


@app.command
def export(folder: BankFolder, id: Id, /, *, out: Out) -> int:
    """Write a proposal to a file, which a person signs on another machine."""
    require_outputs({"--out": out}, outside=folder)
    with open_bank(folder) as bank:
        proposal = bank.proposals.exported(_parsed(id))
        proposal.save(out)
        show(f"proposal {id}, digest {proposal.digest.hex()}: {out}")
    return 0


@app.command
def sign(
    file: Annotated[Path, Parameter(help="File that `sycee proposal export` wrote.")],
    /,
    *,
    key: Annotated[Path, Parameter(help="File with your private key.")],
    out: Out,
    signer: Annotated[str | None, Parameter(help="Your id, if the file does not name your key.")] = None,
    digest: Annotated[str | None, Parameter(help="Refuse a proposal with another digest.")] = None,
) -> int:
    """Sign an exported proposal, without a data folder: show its records and digest, then write the signature.

    The signature covers exactly the records, the effect, the maker and the end that are shown.
    """
    from sycee.core.keys import SigningKey
    from sycee.core.records import proposal_format

    require_outputs({"--out": out})
    proposal = _load(file)
    if digest is not None and digest.strip().lower() != proposal.digest.hex():
        raise UsageError(
            f"the proposal in {file} has the digest {proposal.digest.hex()}, not {digest}",
            hint="sign nothing: ask the maker which proposal you are to sign",
        )
    private = SigningKey.load(key)
    person = _parsed(signer) if signer else _signer(proposal, private, file)
    _print(proposal, _decoded(proposal), None, json_=False)
    proposal_format.sign(proposal, person, private).save(out)
    show(f"signed: {out}")
    return 0


@app.command(name="import")
def import_(
    folder: BankFolder,
    file: Annotated[Path, Parameter(help="File that `sycee proposal sign` wrote.")],
    /,
) -> int:
    """Add a signature from a file; the last one that is missing submits the proposal."""
    from sycee.core.records.proposal_format import ProposalSignature

    signature = ProposalSignature.load(file)
    with open_bank(folder) as bank:
        answer = bank.proposals.add_signature(signature)
        return show_answer(bank, bank.proposals.get(signature.proposal).proposal, answer)


@app.command
def withdraw(
    folder: BankFolder,
    id: Id,
    /,
    *,
    key: Annotated[Path, Parameter(help="File with the private key of the maker, or of an officer.")],
) -> int:
    """Withdraw an open proposal.

    Its maker may, and every officer.
    """
    from sycee.core.keys import SigningKey

    private = SigningKey.load(key)
    with open_bank(folder) as bank:
        bank.proposals.withdraw(_parsed(id), by=bank.people.person_of_key(private.public))
        show(f"proposal {id} withdrawn")
    return 0


def _parsed(text: str) -> int:
    return ids.parse(text)


def _load(file: Path) -> Proposal:
    from sycee.core.records.proposal_format import Proposal

    if file.is_dir():
        raise UsageError(f"{file} is a folder", hint="name the proposal's id as well, or an exported file")
    return Proposal.load(file)


def _decoded(proposal: Proposal) -> list[str]:
    from sycee.core.records import describe

    return describe.lines(proposal.records)


def _signer(proposal: Proposal, key: SigningKey, file: Path) -> int:
    person = proposal.signers.get(str(key.public))
    if person is None:
        raise UsageError(
            f"{file} does not name the key {key.public} among those who may sign",
            hint="use the key that you were appointed with, or give your id with --signer",
        )
    return person


def _print(proposal: Proposal, lines: list[str], at: tuple[Bank, StoredProposal] | None, json_: bool) -> None:
    from sycee.core.timestamps import utc_text

    needs = list(at[0].proposals.missing(proposal.id).needs) if at else []
    if json_:
        members: dict[str, Any] = {
            "id": ids.format(proposal.id),
            "ledger": proposal.ledger_id.hex(),
            "action": proposal.action,
            "maker": ids.format(proposal.maker),
            "records": lines,
            "effect": dict(proposal.effect),
            "digest": proposal.digest.hex(),
            "valid_until": utc_text(proposal.valid_until_ns),
        }
        if at:
            stored = at[1]
            members |= {"state": stored.state, "signers": [ids.format(each) for each in stored.signers]}
            members |= {"missing": needs}
        show_json(members)
        return
    show(
        f"proposal {ids.format(proposal.id)} of ledger {proposal.ledger_id.hex()}",
        f"action {proposal.action}, maker {ids.format(proposal.maker)}, "
        f"valid until {utc_text(proposal.valid_until_ns)}",
        *(lines or ["no records: the ledger does not change"]),
        f"effect {proposal.effect_text.decode('ascii')}",
        f"digest {proposal.digest.hex()}",
    )
    if at:
        stored = at[1]
        signed = ", ".join(ids.format(each) for each in stored.signers) or "nobody"
        reason = f": {stored.reason}" if stored.reason else ""
        missing = f"; missing: {'; '.join(needs)}" if needs else ""
        show(f"{stored.state}{reason}, signed by {signed}{missing}")
