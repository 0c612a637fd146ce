"""Payments with a reference, an order or a till, refunds, orders, and payments without a login."""

from __future__ import annotations

from typing import Final

from sycee.client.calls import Call, Members, Page, action, fresh_id, listed, made, place, read, require_same, value
from sycee.client.exchange import Conversation, Request, Session
from sycee.client.operations.arguments import account_of, epoch_of, id_member, ledger_of, number_of, signers_of
from sycee.client.signing import ENVELOPE_VALIDITY_NS, Signer, Wanted
from sycee.client.values import Done, Order, Payer, PayerRefusal, Refusal, SignedPayment
from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.records import envelopes, operations
from sycee.core.records.envelopes import Envelope
from sycee.core.records.layout import Kind

PAYMENT_TYPE: Final = "application/vnd.sycee.payment"


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
    account, to = account_of(payer), number_of(payee)
    body = {"payee": ids.format(to), "minor": str(minor), "text": text, "order": order} | id_member("till", till)
    return action(
        f"/v1/wallets/{place(account)}/payments",
        body,
        value(Done),
        signers=signers_of(payer, signer),
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
    """Return money of a payment to where it came from. `payee`: the merchant's account, given like `payer` in `pay`."""
    original = number_of(payment)
    return action(
        f"/v1/payments/{place(original)}/refunds",
        {"minor": str(minor)} | id_member("till", till),
        value(Done),
        signers=signers_of(payee, signer),
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

    return read(f"/v1/wallets/{place(number_of(merchant))}/orders/{place(order)}", make)


def refusals(operator: int) -> Call[Page[Refusal]]:
    """Return the payments that wallets of an operator refused, with the codes that their payers were not told."""
    return listed(f"/v1/operators/{operator}/refusals", value(Refusal))


def payer_refusals(operator: int) -> Call[Page[PayerRefusal]]:
    """Return the refused payments of an operator's own payers, with the codes that the payers were told."""
    return listed(f"/v1/operators/{operator}/payer-refusals", value(PayerRefusal))


def pay_signed(payer: Payer, payee: int | str, minor: int, *, id: int = 0) -> Call[SignedPayment]:
    """Pay without a login and without text: the wallet's signature is the authority. One request."""
    return signed(payer, operations.pay(id or fresh_id(), payer=payer.account, payee=number_of(payee), amount=minor))


def signed(payer: Payer, record: Array, *, valid_ns: int = ENVELOPE_VALIDITY_NS) -> Call[SignedPayment]:
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
        ledger_id, currency = yield from ledger_of(session)
        epoch = key_epoch or (yield from epoch_of(session, owner.id))
        return Payer(owner.id, owner.key, currency, epoch, ledger_id)

    return Call(converse)


def _envelope(record: Array, wallet: Payer, until_ns: int) -> bytes:
    made_here: Envelope = envelopes.sign(
        record, wallet.ledger_id, wallet.account, wallet.key, until_ns, currency=wallet.currency,
        key_epoch=wallet.key_epoch,
    )  # fmt: skip
    return made_here.encode()
