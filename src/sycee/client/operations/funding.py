"""Money between wallets and the banks of their holders: fundings, shortfalls and waterfalls."""

from __future__ import annotations

from sycee.client.calls import Call, Members, Page, action, listed, place, value
from sycee.client.operations.arguments import account_of, id_member, name_of, number_of, signers_of
from sycee.client.signing import Signer, Wanted
from sycee.client.values import Excess, Funding, FundingRow, Shortfall, ShortfallState
from sycee.core.records.layout import Kind, PayFlag


def fund(wallet: int | str, minor: int, bank_reference: str, signer: Signer, *, id: int = 0) -> Call[Funding]:
    """Send money from an operator's vault to a wallet; it waits for the bank's leg. A person of the operator signs.

    The server chooses the operator's vault and its account for transit. `bank_reference` is unique for the operator.
    """
    to = number_of(wallet)
    sent = Wanted(Kind.SEND, {"credit": to, "amount": minor}, free=frozenset({"debit", "reference"}))
    return action(
        f"/v1/wallets/{name_of(to)}/fundings",
        {"minor": str(minor), "bank_reference": bank_reference},
        _funding,
        signers=(signer,),
        wanted=lambda _: [sent],
        id=id,
    )


def defund(
    wallet: Signer | int | str, minor: int, bank_reference: str, *, signer: Signer | None = None, id: int = 0
) -> Call[Funding]:
    """Send money of a wallet to the holder's bank; it waits for the bank's leg. `wallet`: as `payer` of `pay`.

    The server chooses the operator's vault and its account for transit. `bank_reference` is unique for the operator.
    """
    source = account_of(wallet)
    sent = Wanted(Kind.SEND, {"debit": source, "amount": minor}, free=frozenset({"credit", "reference"}))
    return action(
        f"/v1/wallets/{name_of(source)}/defundings",
        {"minor": str(minor), "bank_reference": bank_reference},
        _funding,
        signers=signers_of(wallet, signer),
        wanted=lambda _: [sent],
        id=id,
    )


def wallet_fundings(wallet: int | str) -> Call[Page[FundingRow]]:
    """Return the money of a wallet that came from a bank or went to one, in the order of ids."""
    return listed(f"/v1/wallets/{name_of(wallet)}/fundings", value(FundingRow))


def fundings(operator: int, state: str = "") -> Call[Page[FundingRow]]:
    """Return the fundings of an operator to its staff; in one state, such as "sent", or all."""
    query = {"state": state} if state else None
    return listed(f"/v1/operators/{operator}/fundings", value(FundingRow), query=query)


def confirm(funding: str, *, id: int = 0) -> Call[Funding]:
    """Report that the bank made its leg: the money arrives. The server signs as operator 0."""
    return action(f"/v1/fundings/{place(funding)}/confirmation", {}, _funding, id=id)


def reject(funding: str, *, id: int = 0) -> Call[Funding]:
    """Report that the bank refused its leg: the money returns. The server signs as operator 0."""
    return action(f"/v1/fundings/{place(funding)}/rejection", {}, _funding, id=id)


def ask_bank(
    payer: Signer | int | str,
    payee: int | str,
    minor: int,
    *,
    text: str = "",
    till: int | str = "",
    order: str = "",
    signer: Signer | None = None,
    id: int = 0,
) -> Call[ShortfallState]:
    """Let the payer's bank pay what a payment lacks; needs a mandate. The arguments are those of `pay`.

    The wallet signs a chain: the missing money arrives, and the payment is made. The server chooses the missing amount,
    at most the payment's, and the operator's accounts. After an hour the payment expires.
    """
    account, to = account_of(payer), number_of(payee)
    body = {"payee": name_of(to), "minor": str(minor), "text": text, "order": order}
    return action(
        f"/v1/wallets/{name_of(account)}/shortfalls",
        body | id_member("till", till),
        value(ShortfallState),
        signers=signers_of(payer, signer),
        wanted=lambda number: _chain(account, minor, minor, number, payee=to),
        id=id,
    )


def shortfalls(operator: int) -> Call[Page[Shortfall]]:
    """Return the payments for which an operator's bank has to collect money, in the order of ids."""
    return listed(f"/v1/operators/{operator}/shortfalls", value(Shortfall))


def fund_shortfall(shortfall: Shortfall, signer: Signer, *, id: int = 0) -> Call[ShortfallState]:
    """Report that the bank has what a payment lacks: the wallet is funded and the payment made, both or none.

    A person of the operator signs, for the missing amount that `shortfalls` stated; the wallet's signature names the
    payee.
    """
    payment = number_of(shortfall.payment)
    account = number_of(shortfall.wallet)
    chain = _chain(account, shortfall.minor, 0, payment, missing=shortfall.missing_minor)
    return action(
        f"/v1/shortfalls/{name_of(payment)}/funding",
        {},
        value(ShortfallState, payment=name_of(payment)),
        signers=(signer,),
        wanted=lambda _: chain,
        parent=payment,
        id=id,
    )


def reject_shortfall(payment: int | str, *, id: int = 0) -> Call[ShortfallState]:
    """Report that the bank refused what a payment lacks: nothing was moved."""
    name = name_of(payment)
    return action(f"/v1/shortfalls/{name}/rejection", {}, value(ShortfallState, payment=name), id=id)


def waterfalls(operator: int) -> Call[Page[Excess]]:
    """Return what an operator's bank has to pay to holders of wallets, in the order of ids."""
    return listed(f"/v1/operators/{operator}/waterfalls", value(Excess))


def confirm_waterfall(operator: int, payment: int | str, *, id: int = 0) -> Call[Funding]:
    """Report that the bank paid an excess to the holder. The server signs as operator 0."""
    return action(f"/v1/operators/{operator}/waterfalls/{name_of(payment)}/confirmation", {}, _funding, id=id)


def reject_waterfall(operator: int, payment: int | str, *, id: int = 0) -> Call[Funding]:
    """Report that the bank refused an excess: it returns to the wallet, above its limit."""
    return action(f"/v1/operators/{operator}/waterfalls/{name_of(payment)}/rejection", {}, _funding, id=id)


def _funding(members: Members) -> Funding:
    return Funding(str(members["funding"]), str(members["state"]))


def _chain(
    account: int, minor: int, most: int, payment: int, *, payee: int = 0, missing: int = 0
) -> tuple[Wanted, ...]:
    """Return the records of a payment that lacks money: the missing amount to the wallet, its arrival, the payment.

    `missing`: the missing amount; without it the server chooses one of at most `most`. `payee`: 0 for any.
    """
    fields, free = {"credit": account}, {"debit", "reference"}
    fields |= {"amount": missing} if missing else {}
    free |= set() if missing else {"amount"}
    paid = {"id": payment, "debit": account, "amount": minor} | ({"credit": payee} if payee else {})
    return (
        Wanted(Kind.SEND, fields, free=frozenset(free), most={} if missing else {"amount": most}),
        Wanted(Kind.CONFIRM, {}, derived=frozenset({"reference"})),
        Wanted(Kind.PAY, paid, free=frozenset() if payee else frozenset({"credit"}), flags=PayFlag.OWN_ONLY),
    )
