"""Proposals, which wait for signatures, and the actions of operators and the central bank that several persons sign."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from sycee.client.calls import Call, Members, Page, action, listed, made, place, post, require_same, rows, value
from sycee.client.exchange import Conversation, Request, Session
from sycee.client.operations.arguments import name_of, number_of
from sycee.client.signing import Signer
from sycee.client.values import Listed, Operator, Proposed, ReserveRule, SignedProposal
from sycee.core import ids
from sycee.core.keys import PublicKey
from sycee.core.records import proposal_format
from sycee.core.records.proposal_format import Proposal, ProposalSignature


def proposals(state: str = "") -> Call[Page[Listed]]:
    """Return the proposals that the caller made, signed or may sign; in one state, such as "open", or all."""
    return listed("/v1/proposals", value(Listed), query={"state": state} if state else None)


def proposal(id: int | str) -> Call[Proposal]:
    """Return a proposal. Its digest is compared with its content, so `describe.lines(records)` shows what is signed."""
    number = number_of(id)

    def make(members: Members) -> Proposal:
        found = Proposal.parse(json.dumps(members["document"]), "the answer")
        require_same({"id": found.id}, "id", number)
        return found

    def converse(session: Session) -> Conversation[Proposal]:
        found = made((yield Request("GET", f"/v1/proposals/{place(number)}")), make)
        session.require_ledger(found.ledger_id.hex())
        return found

    return Call(converse)


def sign(proposal: Proposal, signer: Signer) -> Call[SignedProposal]:
    """Sign a proposal as a person; with the last signature it is done, or refused with a code."""
    return add_signature(proposal_format.sign(proposal, signer.id, signer.key))


def add_signature(signature: ProposalSignature) -> Call[SignedProposal]:
    """Add a signature that was made on another machine, as a file; with the last one the proposal is done or refused.

    The caller is a person, or a program of a person, who may see the proposal.
    """
    name = ids.format(signature.proposal)
    path = f"/v1/proposals/{name}/signatures"

    def converse(_: Session) -> Conversation[SignedProposal]:
        response = yield post(path, json.loads(signature.text()))
        return made(response, value(SignedProposal, proposal=name))

    return Call(converse, name)


def withdraw_proposal(proposal: int | str, *, id: int = 0) -> Call[Proposed]:
    """End a proposal that nobody shall sign any more: its maker, and every officer, may."""
    name = name_of(proposal)
    return action(f"/v1/proposals/{name}/withdrawal", {}, value(Proposed, proposal=name), id=id)


# --- issuance ---


def operators() -> Call[Sequence[Operator]]:
    """Return the operators by number, with their money for their own staff, officers and auditors."""
    return rows("/v1/operators", value(Operator))


def propose_join(
    institution: int | str, quota_minor: int, key: PublicKey, *, until_ns: int, id: int = 0
) -> Call[Proposed]:
    """Propose that an institution becomes an operator. `key`: of the first person who signs for it, until a time."""
    body = {"institution": name_of(institution), "quota": str(quota_minor), "key": str(key), "until_ns": str(until_ns)}
    return _proposed("/v1/operators", body, id)


def propose_leave(operator: int, *, id: int = 0) -> Call[Proposed]:
    """Propose the next step of an operator's leaving: its vault is blocked, later its accounts are closed."""
    return _proposed(f"/v1/operators/{operator}/leaving", {}, id)


def propose_reserves(operator: int, minor: int, *, id: int = 0) -> Call[Proposed]:
    """Propose to record reserves that an operator brings from the settlement system."""
    return _proposed(f"/v1/operators/{operator}/reserves", {"minor": str(minor)}, id)


def propose_mint(operator: int, minor: int, *, id: int = 0) -> Call[Proposed]:
    """Propose to issue money to an operator against its reserves."""
    return _proposed(f"/v1/operators/{operator}/mints", {"minor": str(minor)}, id)


def propose_redemption(operator: int, minor: int, *, id: int = 0) -> Call[Proposed]:
    """Propose to take money of an operator back, and return its reserves."""
    return _proposed(f"/v1/operators/{operator}/redemptions", {"minor": str(minor)}, id)


def propose_quota(operator: int, minor: int, *, effective_ns: int, id: int = 0) -> Call[Proposed]:
    """Propose another maximum of an operator's vault, from a future time on."""
    body = {"minor": str(minor), "effective_ns": str(effective_ns)}
    return _proposed(f"/v1/operators/{operator}/quota", body, id)


def propose_cap(minor: int, *, effective_ns: int, id: int = 0) -> Call[Proposed]:
    """Propose another daily maximum of minting, from a future time on."""
    return _proposed("/v1/minting-cap", {"minor": str(minor), "effective_ns": str(effective_ns)}, id)


def reserve_rules(day: str = "") -> Call[Sequence[ReserveRule]]:
    """Return the reserve rule of each class of wallets that has one. `day`: today by default."""
    return rows("/v1/reserve-rules", value(ReserveRule), query={"day": day} if day else None)


def propose_reserve_rules(rules: Sequence[ReserveRule], *, id: int = 0) -> Call[Proposed]:
    """Propose reserve rules, which are set together."""
    return _proposed("/v1/reserve-rules", {"rules": [asdict(each) for each in rules]}, id)


def _proposed(path: str, body: Mapping[str, object], id: int) -> Call[Proposed]:
    return action(path, body, value(Proposed), id=id)
