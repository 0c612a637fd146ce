"""Requests to pay: ask, list, pay, decline and withdraw them."""

from __future__ import annotations

from typing import Literal

from sycee.client.calls import Call, Page, action, download, listed, message_action, read, value
from sycee.client.exchange import Conversation, Session
from sycee.client.operations.arguments import account_of, id_member, ledger_of, name_of, number_of, signers_of
from sycee.client.signing import Asked, Signer, Wanted
from sycee.client.values import Paid, PayRequest, RequestState
from sycee.core.records.layout import Kind
from sycee.core.records.signed_messages import request_message


def ask(
    payee: Signer | int | str,
    minor: int,
    *,
    expires_ns: int,
    payer: int | str = "",
    text: str = "",
    till: Signer | int | str = "",
    order: str = "",
    signer: Signer | None = None,
    id: int = 0,
) -> Call[RequestState]:
    """Ask for an amount until a time. The id of the call is that of the request.

    - `payee`: the wallet with its key, or its id together with `till` or `signer`.
    - `payer`: the only wallet that may pay; "" for everybody who has the id.
    - `till`: the merchant's till; as a signer, its own key asks.
    - `signer`: of a custodial wallet a person of its operator.
    """
    account, only = account_of(payee), number_of(payer) if payer else 0
    place = account_of(till) if till else 0
    keys = signers_of(till, None) or signers_of(payee, signer)

    def message(session: Session, number: int, _: Asked) -> Conversation[bytes]:
        ledger_id, currency = yield from ledger_of(session)
        return request_message(
            ledger_id, number, payee=account, payer=only, till=place, minor=minor, currency=currency,
            expires_ns=expires_ns, order=order, text=text,
        )  # fmt: skip

    body = {"minor": str(minor), "expires_ns": str(expires_ns), "text": text, "order": order}
    key = {"key": str(keys[0].key.public)} if keys else {}
    return message_action(
        f"/v1/wallets/{name_of(account)}/requests",
        body | id_member("payer", only) | id_member("till", place) | key,
        value(RequestState),
        message=message,
        signers=keys,
        id=id,
    )


def requests(wallet: int | str, side: Literal["payee", "payer"]) -> Call[Page[PayRequest]]:
    """Return the requests that a wallet made, or with "payer" the open ones that it may pay."""
    return listed(f"/v1/wallets/{name_of(wallet)}/requests", value(PayRequest), query={"side": side})


def request(id: int | str) -> Call[PayRequest]:
    """Return a request to its payer and its payee; one for anybody to everybody who has its id."""
    name = name_of(id)
    return read(f"/v1/requests/{name}", value(PayRequest, request=name))


def request_qr(request: int | str, form: Literal["txt", "png", "svg"] = "txt") -> Call[bytes]:
    """Return the QR code of a request, which is paid once, as text or picture."""
    return download(f"/v1/requests/{name_of(request)}/qr.{form}")


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
    account, to, asked = account_of(payer), number_of(payee), name_of(request)
    return action(
        f"/v1/requests/{asked}/payment",
        {"wallet": name_of(account)},
        value(Paid, request=asked),
        signers=signers_of(payer, signer),
        wanted=lambda number: [Wanted(Kind.PAY, {"id": number, "debit": account, "credit": to, "amount": minor})],
        id=id,
    )


def decline_request(request: int | str, *, id: int = 0) -> Call[RequestState]:
    """Decline a request, as the holder of the wallet that it names."""
    name = name_of(request)
    return action(f"/v1/requests/{name}/decline", {}, value(RequestState, request=name), id=id)


def withdraw_request(request: int | str, *, id: int = 0) -> Call[RequestState]:
    """Withdraw a request, as the holder of the payee's wallet or as the operator of a custodial one."""
    name = name_of(request)
    return action(f"/v1/requests/{name}/withdrawal", {}, value(RequestState, request=name), id=id)
