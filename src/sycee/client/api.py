"""The operations of the API as calls: `client.do(api.pay(...))`.

Amounts are whole numbers of minor units. Ids are texts or numbers; `core.ids` converts them. An operation that this
module lacks is a call as well: `calls.read`, `calls.listed` and `calls.action` make it from a path.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sycee.client import webhooks
from sycee.client.calls import (
    Call,
    Members,
    Page,
    action,
    download,
    fresh_id,
    listed,
    made,
    place,
    post,
    read,
    require_same,
)
from sycee.client.exchange import Conversation, Request, Session
from sycee.client.signing import Signer, Wanted
from sycee.client.values import (
    Backup,
    Bound,
    Caller,
    Day,
    Done,
    Found,
    Funding,
    Line,
    Listed,
    Opened,
    Order,
    Paid,
    Payer,
    SignedPayment,
    Wallet,
)
from sycee.core import ids, money
from sycee.core.arrays import Array
from sycee.core.keys import PublicKey
from sycee.core.records import envelopes, operations, proposal_format
from sycee.core.records.envelopes import Envelope
from sycee.core.records.layout import AccountKind, Kind
from sycee.core.records.proposal_format import Proposal

PAYMENT_TYPE: Final = "application/vnd.sycee.payment"
VALID_NS: Final = 3_600 * 10**9  # of the envelope of a signed payment


# --- what everybody may read ---


def ready() -> Call[int]:
    """Return the newest durable frame. Raises NotTaken while the server starts or stops."""
    return read("/readyz", lambda members: int(members["frame"]))


def supply() -> Call[Mapping[str, Any]]:
    """Return the supply page as its JSON: the money in circulation, the reserves behind it, and digests."""
    return read("/v1/supply", dict)


def session() -> Call[Caller]:
    """Return who the server takes this client for."""
    return read(
        "/auth/session",
        lambda members: Caller(members["kind"], members["person"], members["operator"], frozenset(members["scopes"])),
    )


# --- wallets ---


def wallet(id: int | str) -> Call[Wallet]:
    """Return a wallet. Raises NotFound for one that the caller may not see."""
    name = ids.format(_number(id))

    def make(members: Members) -> Wallet:
        require_same(members, "wallet", name)
        return Wallet(
            wallet=name,
            holder=str(members["holder"]),
            operator=int(members["operator"]),
            tier=str(members["tier"]),
            state=str(members["state"]),
            currency=str(members["currency"]),
            signs=str(members["signs"]),
            key_epoch=int(members["key_epoch"]),
            balance_minor=int(members["balance_minor"]),
            available_minor=int(members["available_minor"]),
        )

    return read(f"/v1/wallets/{name}", make)


def statement(wallet: int | str) -> Call[Page[Line]]:
    """Return the lines of a wallet, newest first."""

    def make(members: Members) -> Line:
        return Line(
            str(members["time"]), str(members["purpose"]), int(members["amount_minor"]), int(members["balance_minor"]),
            members["counterparty"], str(members["operation"]), str(members["text"]),
        )  # fmt: skip

    return listed(f"/v1/wallets/{place(_number(wallet))}/statement", make)


def resolve(alias: str) -> Call[Found]:
    """Return the wallet of a phone or a handle, and the masked name of its holder. Look-ups are limited."""

    def converse(_: Session) -> Conversation[Found]:
        response = yield post("/v1/aliases/resolution", {"alias": alias})
        return made(response, lambda members: Found(members["wallet"], members["name"]))

    return Call(converse)


def qr(wallet: int | str, *, minor: int = 0, order: str = "") -> Call[str]:
    """Return the text of a wallet's QR code. `minor`: 0 if the payer enters the amount. An order is paid once."""
    named = {"minor": str(minor) if minor else "", "order": order}
    query = {name: value for name, value in named.items() if value}
    return read(f"/v1/wallets/{place(_number(wallet))}/qr", lambda members: str(members["text"]), query=query)


def open_person(
    person: Mapping[str, str], *, operator: int, tier: str, signer: Signer, wallet: int = 0, id: int = 0
) -> Call[Opened]:
    """Register a person and open a custodial wallet, for which the operator signs. A person of the operator signs.

    - `person`: name and phone; also paper, paper_kind, birth, address.
    - `wallet`: a fresh id by default. The server chooses the rule set of the class and the suspense account.
    """
    account = wallet or fresh_id()
    opening = Wanted(
        Kind.OPEN_ACCOUNT,
        {"debit": account, "first": AccountKind.WALLET, "count": operator},
        free=frozenset({"credit", "number", "rule_set"}),
    )

    def make(members: Members) -> Opened:
        require_same(members, "wallet", ids.format(account))
        return Opened(members["wallet"], members["holder"], members["state"])

    return action(
        "/v1/persons",
        {"operator": operator, "tier": tier, "person": dict(person), "wallet": ids.format(account)},
        make,
        signers=(signer,),
        wanted=lambda _: [opening],
        id=id,
    )


# --- proposals ---


def proposals(state: str = "") -> Call[Page[Listed]]:
    """Return the proposals that the caller made, signed or may sign; in one state, such as "open", or all."""

    def make(row: Members) -> Listed:
        return Listed(row["proposal"], row["action"], row["state"], row["code"], row["maker"])

    return listed("/v1/proposals", make, query={"state": state} if state else None)


def proposal(id: int | str) -> Call[Proposal]:
    """Return a proposal. Its digest is compared with its content, so `describe.lines(records)` shows what is signed."""
    number = _number(id)

    def make(members: Members) -> Proposal:
        found = Proposal.parse(json.dumps(members["document"]), "the answer")
        require_same({"id": found.id}, "id", number)
        return found

    def converse(session: Session) -> Conversation[Proposal]:
        found = made((yield Request("GET", f"/v1/proposals/{place(number)}")), make)
        session.require_ledger(found.ledger_id.hex())
        return found

    return Call(converse)


def sign(proposal: Proposal, signer: Signer) -> Call[Listed]:
    """Sign a proposal as a person; with the last signature it is done, or refused with a code."""
    name = ids.format(proposal.id)
    signature = json.loads(proposal_format.sign(proposal, signer.id, signer.key).text())

    def converse(_: Session) -> Conversation[Listed]:
        response = yield post(f"/v1/proposals/{name}/signatures", signature)

        def make(members: Members) -> Listed:
            require_same(members, "proposal", name)
            return Listed(name, proposal.action, members["state"], members["code"], ids.format(proposal.maker))

        return made(response, make)

    return Call(converse, name)


# --- the business day ---


def days() -> Call[Sequence[Day]]:
    """Return the closed days, oldest first."""

    def make(members: Members) -> Sequence[Day]:
        return [Day(row["day"], row["state"], int(row["frame"]), row["pack"]) for row in members["rows"]]

    return read("/v1/days", make)


def pack(day: str) -> Call[bytes]:
    """Return the signed pack of a closed day: its file, byte for byte."""
    return download(f"/v1/days/{place(day)}/pack")


# --- backups ---


def begin_backup(*, id: int = 0) -> Call[str]:
    """Let the server begin an encrypted backup into the folder of its settings; return the backup's id."""
    number = id or fresh_id()

    def make(members: Members) -> str:
        require_same(members, "backup", ids.format(number))
        return ids.format(number)

    return action("/v1/backups", {}, make, id=number)


def backup(id: int | str) -> Call[Backup]:
    """Return the progress of a backup, and its result once it is done."""
    name = ids.format(_number(id))

    def make(members: Members) -> Backup:
        require_same(members, "backup", name)
        supply = members["supply"]
        return Backup(
            name, str(members["state"]), str(members["reason"]), str(members["file"]), int(members["written_bytes"]),
            members["frame"], members["state_digest"], None if supply is None else int(supply),
        )  # fmt: skip

    return read(f"/v1/backups/{name}", make)


# --- webhooks ---


def webhook(url: str, *, types: Sequence[str] = (), after: str = "", id: int = 0) -> Call[str]:
    """Let the server send events to a URL, from now on or after a place; return the webhook's id.

    `types`: empty for all events that the program may see.
    """
    number = id or fresh_id()

    def make(members: Members) -> str:
        require_same(members, "id", ids.format(number))
        return ids.format(number)

    return action("/v1/webhooks", {"url": url, "types": list(types), "after": after}, make, id=number)


def webhook_key() -> Call[PublicKey]:
    """Return the key for `webhooks.received`."""
    return read("/v1/webhook-key", lambda members: webhooks.public_key(members["public_key"]))


# --- payments ---


def pay(
    payer: Signer | int | str,
    payee: int | str,
    minor: int,
    *,
    text: str = "",
    till: int | str = "",
    order: str = "",
    signer: Signer | None = None,
    id: int = 0,
) -> Call[Done]:
    """Pay from a wallet: with packets that may reach the payee, then with own money.

    - `payer`: the wallet with its key, or its id together with `signer`: of a custodial wallet its operator's
      person.
    - `text`: for both sides, stored encrypted. `till`, `order`: of the merchant that is paid; an order is paid once.
    """
    account, to = _account(payer), _number(payee)
    body = {"payee": ids.format(to), "minor": str(minor), "text": text, "order": order} | _till(till)
    return action(
        f"/v1/wallets/{place(account)}/payments",
        body,
        _done,
        signers=_signers(payer, signer),
        wanted=lambda number: [Wanted(Kind.PAY, {"id": number, "debit": account, "credit": to, "amount": minor})],
        id=id,
    )


def refund(
    payment: int | str,
    minor: int,
    payee: Signer | int | str,
    *,
    till: int | str = "",
    signer: Signer | None = None,
    id: int = 0,
) -> Call[Done]:
    """Return money of a payment to where it came from. `payee`: the merchant's account; as `payer` of `pay`."""
    original = _number(payment)
    return action(
        f"/v1/payments/{place(original)}/refunds",
        {"minor": str(minor)} | _till(till),
        _done,
        signers=_signers(payee, signer),
        wanted=lambda number: [Wanted(Kind.REFUND, {"id": number, "reference": original, "amount": minor})],
        id=id,
    )


def order(merchant: int | str, order: str) -> Call[Order]:
    """Return the state of an order. `merchant`: its account."""

    def make(members: Members) -> Order:
        require_same(members, "order", order)
        return Order(
            members["order"], members["state"], members["payment"], int(members["minor"]), int(members["refunded"]),
            members["time"],
        )  # fmt: skip

    return read(f"/v1/wallets/{place(_number(merchant))}/orders/{place(order)}", make)


def pay_request(
    request: int | str,
    payer: Signer | int | str,
    payee: int | str,
    minor: int,
    *,
    signer: Signer | None = None,
    id: int = 0,
) -> Call[Paid]:
    """Pay a request. `payee`, `minor`: as the payer saw them; a request of another content is not signed."""
    account, to, asked = _account(payer), _number(payee), ids.format(_number(request))

    def make(members: Members) -> Paid:
        require_same(members, "request", asked)
        return Paid(members["request"], members["state"], members["payment"])

    return action(
        f"/v1/requests/{asked}/payment",
        {"wallet": ids.format(account)},
        make,
        signers=_signers(payer, signer),
        wanted=lambda number: [Wanted(Kind.PAY, {"id": number, "debit": account, "credit": to, "amount": minor})],
        id=id,
    )


def result_of(id: int | str) -> Call[Bound]:
    """Return the first result under an id. Raises NotFound if the ledger has none."""
    name = ids.format(_number(id))

    def make(members: Members) -> Bound:
        require_same(members, "id", name)
        return Bound(name, members["result"], members["time"])

    return read(f"/v1/operations/{name}", make)


def pay_signed(payer: Payer, payee: int | str, minor: int, *, id: int = 0) -> Call[SignedPayment]:
    """Pay without a login and without text: the wallet's signature is the authority. One request."""
    return signed(payer, operations.pay(id or fresh_id(), payer=payer.account, payee=_number(payee), amount=minor))


def signed(payer: Payer, record: Array, *, valid_ns: int = VALID_NS) -> Call[SignedPayment]:
    """Send one record that the account's own key signs. `record`: (1,) layout.OPERATION of `core.records.operations`.

    docs/reference/http-payments.md lists the kinds. Doing the call again sends the same bytes; after `valid_ns` the
    server accepts them only if the record was applied before.
    """
    name = ids.format(ids.of_record(record[0], "id"))
    sealed: list[bytes] = []

    def converse(session: Session) -> Conversation[SignedPayment]:
        if not sealed:
            sealed.append(record.tobytes() + _envelope(record, payer, session.now_ns() + valid_ns))
        response = yield Request(
            "POST", "/v1/payments", content=sealed[0], content_type=PAYMENT_TYPE, is_anonymous=True
        )

        def make(members: Members) -> SignedPayment:
            require_same(members, "id", name)
            require_same(members, "result", "CREATED")
            return SignedPayment(name, int(members["frame"]), int(members["time_ns"]), response.status == 200)

        return made(response, make)

    return Call(converse, name)


def payer(owner: Signer, *, key_epoch: int = 0) -> Call[Payer]:
    """Return what signs the payments of a wallet. Without `key_epoch` the caller must be able to see the wallet."""

    def converse(session: Session) -> Conversation[Payer]:
        public = yield from supply().converse(session)
        epoch = key_epoch or (yield from wallet(owner.id).converse(session)).key_epoch
        session.require_ledger(public["ledger"])
        currency = money.currency(public["currency"]).numeric
        return Payer(owner.id, owner.key, currency, epoch, bytes.fromhex(public["ledger"]))

    return Call(converse)


# --- money between wallets and banks ---


def fund(wallet: int | str, minor: int, bank_reference: str, signer: Signer, *, id: int = 0) -> Call[Funding]:
    """Send money from an operator's vault to a wallet; it waits for the bank's leg. A person of the operator signs.

    The server chooses the operator's vault and its account for transit. `bank_reference` is unique for the operator.
    """
    to = _number(wallet)
    sent = Wanted(Kind.SEND, {"credit": to, "amount": minor}, free=frozenset({"debit", "reference"}))
    return action(
        f"/v1/wallets/{place(to)}/fundings",
        {"minor": str(minor), "bank_reference": bank_reference},
        _funding,
        signers=(signer,),
        wanted=lambda _: [sent],
        id=id,
    )


def confirm(funding: str, *, id: int = 0) -> Call[Funding]:
    """Report that the bank made its leg: the money arrives. The server signs as operator 0."""
    return action(f"/v1/fundings/{place(funding)}/confirmation", {}, _funding, id=id)


def reject(funding: str, *, id: int = 0) -> Call[Funding]:
    """Report that the bank refused its leg: the money returns. The server signs as operator 0."""
    return action(f"/v1/fundings/{place(funding)}/rejection", {}, _funding, id=id)


def _envelope(record: Array, wallet: Payer, until_ns: int) -> bytes:
    made_here: Envelope = envelopes.sign(
        record, wallet.ledger_id, wallet.account, wallet.key, until_ns, currency=wallet.currency,
        key_epoch=wallet.key_epoch,
    )  # fmt: skip
    return made_here.encode()


def _funding(members: Members) -> Funding:
    return Funding(members["funding"], members["state"])


def _done(members: Members) -> Done:
    return Done(members["id"], members["state"])


def _till(till: int | str) -> dict[str, str]:
    return {"till": ids.format(_number(till))} if till else {}


def _number(id: int | str) -> int:
    return id if isinstance(id, int) else ids.parse(id)


def _account(owner: Signer | int | str) -> int:
    return owner.id if isinstance(owner, Signer) else _number(owner)


def _signers(owner: Signer | int | str, signer: Signer | None) -> tuple[Signer, ...]:
    return tuple(each for each in (owner, signer) if isinstance(each, Signer))
