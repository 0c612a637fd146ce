"""Vouchers: groups, pre-activation, activation, redemption, cancellation and status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sycee.client.calls import Call, Members, Page, action, listed, made, place, post, read, require_same, rows, value
from sycee.client.exchange import Conversation, Session
from sycee.client.operations.arguments import name_of, number_of
from sycee.client.signing import Signer, Wanted
from sycee.client.values import Proposed, Redemption, Voucher, VoucherBatch, VoucherGroup, VoucherNumber, VoucherRow
from sycee.core.records.layout import Kind

_CHOSEN = frozenset({"id", "reference"})  # the server chooses the hold, which is of the group's account


def voucher_groups() -> Call[Sequence[VoucherGroup]]:
    """Return the groups of vouchers of the caller's operators; all for officers and auditors."""
    return rows("/v1/vouchers/groups", value(VoucherGroup))


def propose_voucher_group(
    group: str, programme: str, *, budget_minor: int, until_ns: int, merchants: str = "", id: int = 0
) -> Call[Proposed]:
    """Propose budget, end and shops of a group of vouchers, which two officers sign."""
    body = {
        "group": group, "programme": programme, "merchants": merchants, "budget_minor": str(budget_minor),
        "until_ns": str(until_ns),
    }  # fmt: skip
    return action("/v1/vouchers/groups", body, value(Proposed), id=id)


def reserve_vouchers(group: VoucherGroup, amounts: Sequence[int], signer: Signer, *, id: int = 0) -> Call[VoucherBatch]:
    """Reserve money of the funder for new vouchers: one HOLD for each, which the operator's person signs.

    Each HOLD is for the group's account and ends with the group: others are not signed. The id is that of the batch.
    """
    held = {"debit": number_of(group.funder), "credit": number_of(group.account), "until_ns": group.until_ns}
    wanted = [Wanted(Kind.HOLD, held | {"amount": minor}, free=frozenset({"id"}), is_linked=False) for minor in amounts]
    body = {"amounts": [str(minor) for minor in amounts]}
    path = f"{_group(group.group)}/batches"
    return action(path, body, value(VoucherBatch), signers=(signer,), wanted=lambda _: wanted, id=id)


def voucher_batch(batch: int | str) -> Call[Page[VoucherRow]]:
    """Return the rows of a request by its id, each with its outcome and the state of its voucher now."""
    return listed(f"/v1/vouchers/batches/{name_of(batch)}", value(VoucherRow))


def voucher_numbers(batch: int | str) -> Call[Sequence[VoucherNumber]]:
    """Return the numbers of a batch for printing. The log of each voucher names the reader."""
    make = value(VoucherNumber)

    def converse(session: Session) -> Conversation[Sequence[VoucherNumber]]:
        response = yield post(f"/v1/vouchers/batches/{name_of(batch)}/numbers", {})
        return made(response, lambda members: tuple(make(row) for row in members["rows"]))

    return Call(converse)


def activate_vouchers(group: str, beneficiaries: Mapping[int, str], *, id: int = 0) -> Call[VoucherBatch]:
    """Activate vouchers of a group. `beneficiaries`: the id of the beneficiary by serial."""
    body = {"rows": [{"serial": serial, "beneficiary": text} for serial, text in beneficiaries.items()]}
    return action(f"{_group(group)}/activations", body, value(VoucherBatch), id=id)


def redeem_voucher(
    number: str, group: VoucherGroup, shop: int | str, minor: int, signer: Signer, *, beneficiary: str = "", id: int = 0
) -> Call[Redemption]:
    """Pay a shop from a voucher: a POST of its hold and a PAY in one chain, which the operator's person signs.

    `group`: of the voucher, whose account pays. The id is that of the payment.
    """
    account, payee = number_of(group.account), number_of(shop)

    def wanted(payment: int) -> Sequence[Wanted]:
        return (
            Wanted(Kind.POST, {"debit": account, "amount": minor}, free=_CHOSEN),
            Wanted(Kind.PAY, {"id": payment, "debit": account, "credit": payee, "amount": minor}),
        )

    body = {"voucher": number, "shop": name_of(payee), "minor": str(minor), "beneficiary": beneficiary}
    make = value(Redemption, minor=str(minor))
    return action("/v1/vouchers/redemptions", body, make, signers=(signer,), wanted=wanted, id=id)


def cancel_vouchers(group: VoucherGroup, serials: Sequence[int], signer: Signer, *, id: int = 0) -> Call[VoucherBatch]:
    """Cancel vouchers of a group: one VOID for each, which the operator's person signs."""
    voided = Wanted(Kind.VOID, {"debit": number_of(group.account)}, free=_CHOSEN, is_linked=False)
    path = f"{_group(group.group)}/cancellations"
    return action(
        path, {"serials": list(serials)}, value(VoucherBatch), signers=(signer,),
        wanted=lambda _: [voided] * len(serials), id=id,
    )  # fmt: skip


def return_voucher_money(group: VoucherGroup, minor: int, signer: Signer, *, id: int = 0) -> Call[int]:
    """Return money of a group's account to its funder, and return the amount. `minor`: what the account has."""
    fields = {"debit": number_of(group.account), "credit": number_of(group.funder), "amount": minor}

    def make(members: Members) -> int:
        require_same(members, "group", group.group)
        return int(members["minor"])

    return action(
        f"{_group(group.group)}/returns", {}, make, signers=(signer,),
        wanted=lambda payment: [Wanted(Kind.TRANSFER, {"id": payment, **fields})], id=id,
    )  # fmt: skip


def voucher(serial: int) -> Call[Voucher]:
    """Return a voucher and what was done with it."""
    return read(f"/v1/vouchers/{serial}", value(Voucher, serial=serial))


def _group(name: str) -> str:
    return f"/v1/vouchers/groups/{place(name)}"
