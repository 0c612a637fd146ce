"""Events of a person's life: death, dormancy, a court order, a guardian. Lost phones are in `keys`."""

from __future__ import annotations

from collections.abc import Sequence

from sycee.client.calls import Call, Page, action, listed, value
from sycee.client.operations.arguments import name_of, number_of
from sycee.client.signing import Signer, Wanted
from sycee.client.values import DormantWallet, LifeEvent, Proposed
from sycee.core.records.layout import Block, Kind, Reason


def record_death(
    person: int | str, operator: int, wallets: Sequence[int | str], signer: Signer, *, case: int, id: int = 0
) -> Call[LifeEvent]:
    """Block the debits of a deceased person's wallets at one operator, a person of which signs.

    `wallets`: the person's wallets at this operator, in the order of `wallets`; others are not signed.
    """
    accounts = [number_of(each) for each in wallets]
    return action(
        f"/v1/persons/{name_of(person)}/death",
        {"operator": operator, "case": case},
        value(LifeEvent, accounts=[name_of(each) for each in accounts]),
        signers=(signer,),
        wanted=lambda _: [_block(each, Reason.DECEASED, case) for each in accounts],
        id=id,
    )


def release_estate(wallet: int | str, signer: Signer, *, case: int, id: int = 0) -> Call[LifeEvent]:
    """Lift the block of a deceased person's wallet for the estate. A person of the operator signs."""
    return _changed(wallet, "estate", {"case": case}, _unblock(wallet, Reason.DECEASED), signer, id)


def dormant_wallets(operator: int, before_ns: int) -> Call[Page[DormantWallet]]:
    """Return open wallets of persons at an operator that neither paid nor received since a time."""
    return listed(
        f"/v1/operators/{operator}/dormant-wallets", value(DormantWallet), query={"before_ns": str(before_ns)}
    )


def mark_dormant(wallet: int | str, signer: Signer, *, id: int = 0) -> Call[LifeEvent]:
    """Block the debits of a wallet that nobody has used for long. A person of the operator signs."""
    return _changed(wallet, "dormancy", {}, _block(number_of(wallet), Reason.DORMANT, 0), signer, id)


def end_dormancy(wallet: int | str, signer: Signer, *, id: int = 0) -> Call[LifeEvent]:
    """Lift the block of a dormant wallet. A person of the operator signs."""
    return _changed(wallet, "dormancy/end", {}, _unblock(wallet, Reason.DORMANT), signer, id)


def record_court_order(wallet: int | str, signer: Signer, *, case: int, id: int = 0) -> Call[LifeEvent]:
    """Block the debits of a wallet by court order. A person of the operator, or an officer, signs."""
    wanted = _block(number_of(wallet), Reason.COURT_ORDER, case)
    return _changed(wallet, "court-order", {"case": case}, wanted, signer, id)


def lift_court_order(wallet: int | str, *, case: int = 0, id: int = 0) -> Call[Proposed]:
    """Propose to end a court order. Officers sign."""
    return action(f"/v1/wallets/{name_of(wallet)}/court-order/end", {"case": case}, value(Proposed), id=id)


def propose_guardian(
    person: int | str, guardian: int | str, *, until_ns: int | None = None, id: int = 0
) -> Call[Proposed]:
    """Propose that a guardian acts for a person, until a time or a later proposal. Two persons sign."""
    body = {"guardian": name_of(guardian)} | ({"until_ns": str(until_ns)} if until_ns is not None else {})
    return action(f"/v1/persons/{name_of(person)}/guardian", body, value(Proposed), id=id)


def _changed(
    wallet: int | str, step: str, body: dict[str, int], wanted: Wanted, signer: Signer, id: int
) -> Call[LifeEvent]:
    name = name_of(wallet)
    return action(
        f"/v1/wallets/{name}/{step}",
        body,
        value(LifeEvent, accounts=[name]),
        signers=(signer,),
        wanted=lambda _: [wanted],
        id=id,
    )


def _block(account: int, reason: Reason, case: int) -> Wanted:
    fields = {"debit": account, "first": reason, "code": case}
    return Wanted(Kind.BLOCK_ACCOUNT, fields, flags=Block.DEBIT, is_linked=False)


def _unblock(wallet: int | str, reason: Reason) -> Wanted:
    fields = {"debit": number_of(wallet), "first": reason}
    return Wanted(Kind.UNBLOCK_ACCOUNT, fields, flags=Block.DEBIT, is_linked=False)
