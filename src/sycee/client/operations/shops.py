"""Shops of programmes, evidence, the conditions before a drop, and the situation while packets are spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sycee.client.calls import Call, Members, Page, action, listed, place, read, rows, value
from sycee.client.operations.arguments import name_of, number_of
from sycee.client.signing import Signer, Wanted
from sycee.client.values import Conditions, Evidence, Shop, UntestedOutlet
from sycee.core.records.layout import Kind


def shops(name: str, *, state: str = "") -> Call[Page[Shop]]:
    """Return the applications of merchants for a programme. `state`: "" for all.

    An operator sees its own; officers and the programme's operator see those of all operators.
    """
    return listed(_shops(name), value(Shop, programme=name), query={"state": state} if state else None)


def untested_outlets(name: str) -> Call[Sequence[UntestedOutlet]]:
    """Return the outlets of a programme's shops that took no payment since their application."""
    return rows(f"{_shops(name)}/untested", value(UntestedOutlet))


def apply_for_group(
    name: str, merchant: int | str, *, group: str = "", wallet: int | str = 0, id: int = 0
) -> Call[Shop]:
    """Apply with a merchant's account for a merchant group of a programme."""
    body: dict[str, Any] = {"merchant": name_of(number_of(merchant)), "group": group}
    if wallet:
        body["wallet"] = name_of(number_of(wallet))
    return action(_shops(name), body, value(Shop, programme=name), id=id)


def check_shop(name: str, wallet: int | str, *, accepted: bool, reason: str = "", id: int = 0) -> Call[Shop]:
    """Accept an application, or decline it with a reason. Another person than the one who applied decides."""
    account = name_of(number_of(wallet))
    body = {"accepted": accepted, "reason": reason}
    return action(f"{_shops(name)}/{account}/check", body, value(Shop, programme=name, wallet=account), id=id)


def join_shops(name: str, operator: int, wallets: Sequence[int | str], signer: Signer, *, id: int = 0) -> Call[int]:
    """Let the accepted shops of an operator join, which signs, and return how many are in.

    `wallets`: the accepted ones of this operator among those that `shops` lists, in its order: others are not signed.
    """
    joined = [
        Wanted(Kind.JOIN_GROUP, {"debit": number_of(each)}, free=frozenset({"number"}), is_linked=False)
        for each in wallets
    ]
    return action(
        f"{_shops(name)}/joining", {"operator": operator}, _joined, signers=(signer,), wanted=lambda _: joined, id=id
    )


def leave_group(name: str, wallet: int | str, signer: Signer, *, id: int = 0) -> Call[Shop]:
    """Let a shop leave its group, for which its operator signs."""
    account = number_of(wallet)
    left = Wanted(Kind.LEAVE_GROUP, {"debit": account}, free=frozenset({"number"}))
    return action(
        f"{_shops(name)}/{name_of(account)}/leaving", {}, value(Shop, programme=name, wallet=name_of(account)),
        signers=(signer,), wanted=lambda _: [left], id=id,
    )  # fmt: skip


def file_evidence(name: str, kind: str, result: Mapping[str, Any], *, operator: int = 0, id: int = 0) -> Call[Evidence]:
    """File the result of a run elsewhere: `kind` is conformance, with the operator, or restore."""
    body = {"kind": kind, "operator": operator, "result": dict(result)}
    return action(f"/v1/programmes/{place(name)}/evidence", body, value(Evidence), id=id)


def drop_conditions(name: str, number: int = 0, *, zone: str = "") -> Call[Conditions]:
    """Return the conditions before a drop, go or no go, computed now. `zone`: "" for the next one."""
    path = f"/v1/programmes/{place(name)}/occurrences/{number}/conditions"
    return read(path, value(Conditions), query={"zone": zone} if zone else None)


def drop_situation(name: str, number: int = 0) -> Call[Members]:
    """Return what was claimed, spent and refused so far, with flags, as the members of the answer."""
    return read(f"/v1/programmes/{place(name)}/occurrences/{number}/situation", dict)


def _joined(members: Members) -> int:
    return int(members["joined"])


def _shops(name: str) -> str:
    return f"/v1/programmes/{place(name)}/shops"
