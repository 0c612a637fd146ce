"""Cases that customers report, and institutions that participate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sycee.client.calls import Call, Page, action, fresh_id, listed, made, place, post, read, rows, value
from sycee.client.exchange import Conversation, Session
from sycee.client.operations.arguments import id_member, name_of, number_of
from sycee.client.signing import Signer, Wanted
from sycee.client.values import (
    Case,
    CaseRow,
    CaseStep,
    CaseText,
    Claim,
    Institution,
    InstitutionRow,
    Owner,
    Proposed,
)
from sycee.core.errors import UsageError
from sycee.core.records.layout import HoldFlag, Kind, PayFlag, PostFlag


def open_case(kind: str, *, payment: int | str = "", person: int | str = "", text: str = "", id: int = 0) -> Call[int]:
    """Open a case about a payment or a person, as its kind requires; return its number. `text` is stored encrypted."""
    body = {"kind": kind, "text": text} | id_member("payment", payment) | id_member("person", person)
    return action("/v1/cases", body, lambda members: int(members["case"]), id=id)


def cases(*, decided: bool = False, due: bool = False) -> Call[Page[CaseRow]]:
    """Return the open cases that the caller owns, is concerned by or serves.

    `decided`: also decided ones. `due`: only those whose deadline is reached.
    """
    query = {name: "true" for name, chosen in (("all", decided), ("due", due)) if chosen}
    return listed("/v1/cases", value(CaseRow), query=query)


def case(number: int) -> Call[Case]:
    """Return a case with its events, without their texts."""
    return read(f"/v1/cases/{number}", value(Case, case=number))


def case_texts(number: int, *, reason: str = "dispute") -> Call[Sequence[CaseText]]:
    """Return the free texts of an open case in the order of its events, after an entry in the access log for each."""
    return rows(f"/v1/cases/{number}/texts", value(CaseText), query={"reason": reason})


def claims(*, ended: bool = False) -> Call[Sequence[Claim]]:
    """Return the open claims of cases that the caller may see; with `ended` also those that ended."""
    return rows("/v1/claims", value(Claim), query={"all": "true"} if ended else None)


def act_in_case(number: int, step: str, *, minor: int = 0, text: str = "", id: int = 0) -> Call[CaseStep]:
    """Take a step in a case that moves no money; a return is proposed, and two officers sign it.

    `minor`: the part to return; 0 for all. A step that holds or releases money raises UsageError, and nothing is
    signed: `hold_in_case` and `decide_held_case` take it.
    """
    name = place(id or fresh_id())
    body = {"id": name, "step": step, "text": text} | ({"minor": str(minor)} if minor else {})

    def converse(_: Session) -> Conversation[CaseStep]:
        response = yield post(f"/v1/cases/{number}/steps", body)
        if response.status == 202:
            raise UsageError(
                f"the step {step[:40]!r} moves held money, which the payee's operator signs: nothing was changed",
                hint="`sycee case act --key` signs it: --payee, --payer and --amount hold, --hold decides",
            )
        return made(response, value(CaseStep, case=number))

    return Call(converse, name)


def hold_in_case(
    number: int, step: str, *, payee: int | str, payer: int | str, minor: int, signer: Signer, text: str = "",
    id: int = 0,
) -> Call[CaseStep]:  # fmt: skip
    """Take a step that holds money of a disputed payment, for which a person of the payee's operator signs.

    `payee`, `payer`: wallets of the payment. Another hold is not signed. The server chooses the end of the hold and the
    operator's vault, which decides it. The id of the call is that of the hold.
    """
    fields = {"debit": number_of(payee), "credit": number_of(payer), "amount": minor}
    flags = int(PayFlag.OWN_ONLY) | int(HoldFlag.THREE_PARTY)
    free = frozenset({"until_ns", "reference"})

    def wanted(hold: int) -> Sequence[Wanted]:
        return [Wanted(Kind.HOLD, {"id": hold, **fields}, free=free, flags=flags)]

    return _signed_step(number, step, minor, text, signer, wanted, id)


def decide_held_case(
    number: int, step: str, *, hold: int | str, signer: Signer, minor: int = 0, text: str = "", id: int = 0
) -> Call[CaseStep]:
    """Take a step that ends the hold of a case, for which a person of the payee's operator signs.

    `minor`: what returns to the payer; 0 to release all to the payee. Another operation is not signed. The server
    chooses the operator's vault, which decides the hold.
    """
    fields, free = {"reference": number_of(hold)}, frozenset({"debit"})

    def wanted(operation: int) -> Sequence[Wanted]:
        if not minor:
            return [Wanted(Kind.VOID, {"id": operation, **fields}, free=free)]
        returned = {"id": operation, "amount": minor, **fields}
        return [Wanted(Kind.POST, returned, free=free, flags=int(PostFlag.RELEASE_REST))]

    return _signed_step(number, step, minor, text, signer, wanted, id)


def _signed_step(
    number: int, step: str, minor: int, text: str, signer: Signer, wanted: Callable[[int], Sequence[Wanted]], id: int
) -> Call[CaseStep]:
    body = {"step": step, "text": text, "signer": name_of(signer.id)} | ({"minor": str(minor)} if minor else {})
    make = value(CaseStep, case=number)
    return action(f"/v1/cases/{number}/steps", body, make, signers=(signer,), wanted=wanted, id=id)


def collect_claim(claim: int | str, *, id: int = 0) -> Call[Proposed]:
    """Propose to take the money of a claim that the payee has now. Two officers sign."""
    return action(f"/v1/claims/{name_of(claim)}/collection", {}, value(Proposed), id=id)


def write_claim_off(claim: int | str, *, id: int = 0) -> Call[str]:
    """End a claim that nobody can collect, and return its id."""
    path = f"/v1/claims/{name_of(claim)}/write-off"
    return action(path, {}, lambda members: str(members["claim"]), id=id)


def enter_institution(
    kind: str,
    name: str,
    *,
    operator: int | None = None,
    participant: str = "",
    owners: Mapping[str, int] | None = None,
    settlement: str = "",
    id: int = 0,
) -> Call[str]:
    """Enter an institution, and return its id. It participates once two persons decided its due diligence.

    - `kind`: "merchant", "operator", "issuer" or "auditor". `operator`: the number of the one that serves a merchant.
    - `owners`: parts per million by person. `settlement`: account at a bank, stored encrypted.
    """
    body: dict[str, object] = {"kind": kind, "name": name, "participant": participant}
    if operator is not None:
        body["operator"] = operator
    if owners:
        body["owners"] = [{"person": name_of(person), "share_ppm": share} for person, share in owners.items()]
    if settlement:
        body["settlement"] = settlement
    return action("/v1/institutions", body, lambda members: str(members["institution"]), id=id)


def institutions(kind: str = "") -> Call[Page[InstitutionRow]]:
    """Return names and states of institutions; of one kind, such as "merchant", or all."""
    return listed("/v1/institutions", value(InstitutionRow), query={"kind": kind} if kind else None)


def institution(id: int | str) -> Call[Institution]:
    """Return an institution with the outcomes of its checks."""
    name = name_of(id)
    return read(f"/v1/institutions/{name}", value(Institution, institution=name))


def owners(institution: int | str) -> Call[Sequence[Owner]]:
    """Return who owns which share of an institution, largest first."""
    return rows(f"/v1/institutions/{name_of(institution)}/owners", value(Owner))


def state_settlement(institution: int | str, settlement: str, *, id: int = 0) -> Call[str]:
    """Replace the settlement account of an institution; two persons verify it before money is sent to it."""
    path = f"/v1/institutions/{name_of(institution)}/settlement"
    return action(path, {"settlement": settlement}, lambda members: str(members["institution"]), id=id)


def decide_check(institution: int | str, check: str, *, passed: bool, id: int = 0) -> Call[Proposed]:
    """Propose the outcome of a check of an operator, auditor or issuer: "papers" or "owners". Another person signs."""
    return _decided(f"/v1/institutions/{name_of(institution)}/checks", check, passed, id)


def decide_merchant_check(merchant: int | str, check: str, *, passed: bool, id: int = 0) -> Call[Proposed]:
    """Propose the outcome of a check of a merchant: "papers", "owners" or "settlement". Another person signs."""
    return _decided(f"/v1/merchants/{name_of(merchant)}/checks", check, passed, id)


def _decided(path: str, check: str, passed: bool, id: int) -> Call[Proposed]:
    return action(path, {"check": check, "outcome": "passed" if passed else "failed"}, value(Proposed), id=id)
