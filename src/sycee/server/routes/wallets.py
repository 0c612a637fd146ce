"""Wallets: list, show and open them, read their statements, change their class, close them; waterfalls and mandates."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.errors import UsageError
from sycee.core.keys import PublicKey
from sycee.core.money import currency_code
from sycee.core.records.layout import Purpose, Reason
from sycee.core.timestamps import exact_text
from sycee.identity.duties import Duty
from sycee.ledger.queries import PAGE_LINES_MAX
from sycee.server import access, paging
from sycee.server.auth.caller import Caller
from sycee.server.operations import OWN, SIGNED_IN, operation
from sycee.server.routes.common import (
    MESSAGE_SIGNED,
    REPEATED,
    SIGNED_ELSEWHERE,
    Amount,
    Moment,
    Next,
    PathId,
    TheCaller,
    TheRuntime,
    number,
    wallet_key,
)
from sycee.server.routes.csv_tables import CSV, csv_answer
from sycee.server.signing import (
    ID_PATTERN,
    ActionBody,
    Body,
    Id,
    MessageBody,
    Minor,
    Signatures,
    integer_of,
)
from sycee.wallets.changes import CLASS, CLOSE
from sycee.wallets.directory import Wallet
from sycee.wallets.mandates import MANDATE
from sycee.wallets.opening import ACTION as OPEN
from sycee.wallets.references import own_texts
from sycee.wallets.tables import CLOSED
from sycee.wallets.tables import OPEN as IS_OPEN

router = APIRouter(prefix="/v1", tags=["wallets"])

PRINTABLE = r"^[^\x00-\x1f\x7f]*$"  # no control characters
HexProof = Annotated[
    str, Field(pattern=r"^([0-9a-f]{128})?$", description="The key's signature that proves its possession, hexadecimal")
]
KeyText = Annotated[str, Field(max_length=80, examples=["ed25519:8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121b..."])]
Text = Annotated[str, Field(max_length=200, pattern=PRINTABLE)]


class PersonFields(Body):
    """Data of a new person. They are stored encrypted, and are in no answer and no log."""

    name: Text
    phone: Text
    paper: Text = ""
    paper_kind: Text = ""
    birth: Text = ""
    address: Text = ""


class Opening(ActionBody):
    """A wallet to open. With `key`, the caller chooses `wallet`, and `proof` is the key's signature for epoch 1."""

    operator: Annotated[int, Field(ge=2, le=65_535)]
    tier: Annotated[str, Field(max_length=40, description="Class of the preset; empty for a merchant without limits")]
    wallet: Id | None = None
    key: KeyText = ""
    proof: HexProof = ""


class HolderOpening(Opening):
    """A wallet of a person or a merchant who is registered."""

    holder: Id


class PersonOpening(Opening):
    """A wallet of a new person."""

    person: PersonFields


class ClassBody(ActionBody):
    """Another class of the preset."""

    tier: Annotated[str, Field(max_length=40)]


class WaterfallBody(ActionBody):
    """The holder's bank account, which is stored encrypted."""

    bank_account: Annotated[str, Field(min_length=1, max_length=200, pattern=PRINTABLE)]


class MandateBody(MessageBody):
    """The most that payments of one local day may debit from the bank account."""

    day_max_minor: Minor


class Opened(Body):
    """A wallet that was opened, and its holder."""

    wallet: Id
    holder: Id
    state: str


class Changed(Body):
    """A wallet after a change."""

    wallet: Id
    tier: str
    state: str


class WalletRow(Changed):
    """A wallet. `tier`: its class, empty for a merchant without limits."""

    holder: Id
    operator: int
    opened: Moment


class WalletPage(Body):
    """Wallets, in the order of their ids."""

    rows: tuple[WalletRow, ...]
    next: Next


class WalletShown(WalletRow):
    """A wallet with what the ledger has; the further members are missing until it was opened."""

    currency: Annotated[str, Field(examples=["CNY"])] = ""
    signs: Annotated[str, Field(description="key, operator or nobody", examples=["key"])] = ""
    key_epoch: int = 0
    balance_minor: Amount = "0"
    available_minor: Amount = "0"
    aliases: Annotated[tuple[str, ...], Field(description="Kinds: phone, handle")] = ()
    waterfall: bool = False


class StatementLine(Body):
    """A movement: `amount_minor` is negative for a debit. `counterparty` is null for a packet."""

    time: Moment
    purpose: Annotated[str, Field(examples=["PAY_OWN"])]
    amount_minor: Amount
    balance_minor: Amount
    counterparty: Id | None
    operation: Id
    text: str


class StatementPage(Body):
    """Lines of a statement, the newest first."""

    rows: tuple[StatementLine, ...]
    next: Next


class MandateShown(Body):
    """A mandate; both members are null without one."""

    day_max_minor: Amount | None
    id: Id | None


# --- reading ---


@operation(router, "GET", "/wallets", access=SIGNED_IN, response_model=WalletPage, summary="List wallets of a holder")
async def list_wallets(
    caller: TheCaller,
    runtime: TheRuntime,
    holder: Annotated[str, Query(pattern=ID_PATTERN, description="Without it: the caller, and its merchants")] = "",
    limit: paging.Limit = paging.ROWS,
    cursor: paging.Cursor = "",
) -> dict[str, Any]:
    """Return the wallets of a holder that the caller may see; an unknown holder has none."""

    def work(bank: Bank) -> dict[str, Any]:
        after = paging.after_id(cursor)
        holders = [number(holder)] if holder else [caller.person, *_merchants(bank, caller)]
        found = sorted((each for one in holders for each in bank.directory.of_holder(one)), key=lambda it: it.account)
        seen = [each for each in found if each.account > after and _sees(bank, caller, each)]
        rows = [_summary(each) for each in seen[:limit]]
        return paging.page(rows, (rows[-1]["wallet"],) if len(seen) > limit else None)

    return await runtime.call(work)


@operation(router, "GET", "/wallets/{wallet}", access=OWN, response_model=WalletShown, summary="Show a wallet")
async def show_wallet(wallet: PathId, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return class, operator, who signs, balances in minor units, and the kinds of the aliases.

    `signs` is "key" for a wallet with its own key, "operator" for a custodial one, "nobody" after a revocation.
    """

    def work(bank: Bank) -> dict[str, Any]:
        found = access.visible_wallet(bank, caller, number(wallet))
        if found.state not in (IS_OPEN, CLOSED):
            return _summary(found)
        account = bank.stores.ledger.account(found.account)
        custodial = "nobody" if Reason.RECOVERY in account.debit_reasons else "operator"
        return {
            **_summary(found),
            "currency": currency_code(account.currency),
            "signs": "key" if account.key else custodial,
            "key_epoch": account.key_epoch,
            "balance_minor": str(account.balance),
            "available_minor": str(account.available),
            "aliases": [kind.name.lower() for kind in bank.aliases.of_account(found.account)],
            "waterfall": bool(account.link),
        }

    return await runtime.call(work)


@operation(
    router, "GET", "/wallets/{wallet}/statement", access=OWN, response_model=StatementPage,
    summary="Read a statement, newest line first",
)  # fmt: skip
async def read_statement(
    wallet: PathId,
    caller: TheCaller,
    runtime: TheRuntime,
    limit: paging.Limit = paging.ROWS,
    cursor: paging.Cursor = "",
) -> dict[str, Any]:
    """Return a page of lines. Later payments do not change a page.

    The texts of payments are in the answer for the wallet's owner only.
    """

    def work(bank: Bank) -> dict[str, Any]:
        rows, place = _statement(bank, caller, number(wallet), limit, cursor)
        return paging.page(rows, place)

    return await runtime.read_history(work)


@operation(
    router, "GET", "/wallets/{wallet}/statement.csv", access=OWN, response_class=Response,
    summary="Download lines of a statement as CSV", responses=CSV,
)  # fmt: skip
async def download_statement(
    wallet: PathId,
    caller: TheCaller,
    runtime: TheRuntime,
    limit: paging.Limit = paging.ROWS_MAX,
    cursor: paging.Cursor = "",
) -> Response:
    """Return a page as the page of `read_statement`. The header `Sycee-Next` has the cursor of the next page."""

    def work(bank: Bank) -> Response:
        rows, place = _statement(bank, caller, number(wallet), limit, cursor)
        headings = ("time", "purpose", "amount_minor", "balance_minor", "counterparty", "operation", "text")
        headers = {"Sycee-Next": paging.encode(*place)} if place else {}
        return csv_answer(
            f"statement-{wallet}.csv", headings, [[row[name] for name in headings] for row in rows], headers
        )

    return await runtime.read_history(work)


# --- opening, changing, closing ---


@operation(
    router, "POST", "/wallets", access=OPEN, status_code=201, response_model=Opened, responses=SIGNED_ELSEWHERE,
    summary="Open a wallet for a registered person or a merchant",
)  # fmt: skip
async def open_wallet(body: HolderOpening, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Open a wallet; a person of the operator signs. A custodial wallet of a person has the lowest class."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        require_opener(bank, caller, body.operator)
        opened = bank.wallets.open(number(body.holder), **_opening(body, caller, signatures))
        return _opened(opened)

    return await runtime.perform(OPEN, caller.person, body, work)


@operation(
    router, "POST", "/persons", access=OPEN, status_code=201, response_model=Opened, responses=SIGNED_ELSEWHERE,
    summary="Register a person and open a wallet",
)  # fmt: skip
async def open_person(body: PersonOpening, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Register a person and open a wallet, whose first alias is the phone; a person of the operator signs.

    Nothing is stored before the records are signed.
    """

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        require_opener(bank, caller, body.operator)
        fields = {name: text for name, text in body.person.model_dump().items() if text}
        opened = bank.wallets.open_person(fields, **_opening(body, caller, signatures))
        return _opened(opened)

    return await runtime.perform("wallet.open.person", caller.person, body, work)


@operation(
    router, "POST", "/wallets/{wallet}/closure", access=CLOSE, status_code=201, response_model=Changed,
    responses=SIGNED_ELSEWHERE, summary="Close an empty wallet",
)  # fmt: skip
async def close_wallet(wallet: PathId, body: ActionBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Close a wallet permanently, with its aliases; a person of its operator signs."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        account = access.served_wallet(bank, caller, number(wallet), CLOSE).account
        signers = signatures.person(caller.person)
        return _changed(bank.changes.close(account, signers=signers, who=caller.person, id=body.number))

    return await runtime.perform(CLOSE, caller.person, body, work, place={"wallet": wallet})


@operation(
    router, "POST", "/wallets/{wallet}/class", access=CLASS, status_code=201, response_model=Changed,
    responses=SIGNED_ELSEWHERE, summary="Move a wallet to another class",
)  # fmt: skip
async def change_class(wallet: PathId, body: ClassBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Move a wallet to another class of the preset; a person of its operator signs."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        account = access.served_wallet(bank, caller, number(wallet), CLASS).account
        signers = signatures.person(caller.person)
        made = bank.changes.change_class(account, body.tier, signers=signers, who=caller.person, id=body.number)
        return _changed(made)

    return await runtime.perform(CLASS, caller.person, body, work, place={"wallet": wallet})


# --- waterfalls and mandates ---


@operation(
    router, "POST", "/wallets/{wallet}/waterfall", access=CLASS, status_code=201, response_model=Changed,
    responses=SIGNED_ELSEWHERE, summary="Send the excess over a limit to the holder's bank account",
)  # fmt: skip
async def link_bank(wallet: PathId, body: WaterfallBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Begin a waterfall; a person of the wallet's operator signs. The bank account is in no answer."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        account = access.served_wallet(bank, caller, number(wallet), CLASS).account
        signers = signatures.person(caller.person)
        bank.sweeps.link(account, body.bank_account, signers=signers, who=caller.person, id=body.number)
        return _changed(bank.directory.get(account))

    return await runtime.perform("wallet.link", caller.person, body, work, place={"wallet": wallet})


@operation(
    router, "POST", "/wallets/{wallet}/waterfall/end", access=CLASS, status_code=201, response_model=Changed,
    responses=SIGNED_ELSEWHERE, summary="End a waterfall",
)  # fmt: skip
async def unlink_bank(wallet: PathId, body: ActionBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """End a waterfall: payments that exceed the limit are then refused. A person of the operator signs."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        account = access.served_wallet(bank, caller, number(wallet), CLASS).account
        bank.sweeps.unlink(account, signers=signatures.person(caller.person), who=caller.person, id=body.number)
        return _changed(bank.directory.get(account))

    return await runtime.perform("wallet.unlink", caller.person, body, work, place={"wallet": wallet})


@operation(
    router, "GET", "/wallets/{wallet}/mandate", access=OWN, response_model=MandateShown,
    summary="Show the mandate of a wallet",
)  # fmt: skip
async def show_mandate(wallet: PathId, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return the maximum of one local day, `null` without a mandate that the wallet's present key signed."""

    def work(bank: Bank) -> dict[str, Any]:
        account = access.visible_wallet(bank, caller, number(wallet)).account
        try:
            found = bank.mandates.of_account(account)
        except UsageError:
            return {"day_max_minor": None, "id": None}
        return {"day_max_minor": str(found.day_max_minor), "id": ids.format(found.id)}

    return await runtime.call(work)


@operation(
    router, "POST", "/wallets/{wallet}/mandate", access=MANDATE, status_code=201, response_model=Changed,
    responses=MESSAGE_SIGNED, summary="Let payments take what they lack from the bank account",
)  # fmt: skip
async def grant_mandate(wallet: PathId, body: MandateBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Give a mandate, which replaces an earlier one; the wallet's own key signs its message."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        found = access.own_wallet(bank, caller, number(wallet))
        key = wallet_key(bank, found, body.signature_bytes)
        bank.mandates.grant(found.account, integer_of(body.day_max_minor), key=key, by=caller.person, id=body.number)
        return _changed(found)

    return await runtime.perform(MANDATE, caller.person, body, work, place={"wallet": wallet})


@operation(
    router, "POST", "/wallets/{wallet}/mandate/end", access=OWN, status_code=201, response_model=Changed,
    responses=REPEATED, summary="End the mandate of a wallet",
)  # fmt: skip
async def end_mandate(wallet: PathId, body: ActionBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """End a mandate, as the holder or as a person of the operator."""

    def work(bank: Bank, request: Signatures) -> dict[str, Any]:
        found = access.visible_wallet(bank, caller, number(wallet))
        answer = _changed(found)
        bank.mandates.end(found.account, by=caller.person, also=request.answered(answer))
        return answer

    return await runtime.perform("mandate.end", caller.person, body, work, place={"wallet": wallet})


# --- helpers ---


def _merchants(bank: Bank, caller: Caller) -> list[int]:
    """Return the merchants for which a caller acts."""
    held = access.duties_of(bank, caller)
    return sorted({each.institution for each in held if each.duty is Duty.MERCHANT})


def _sees(bank: Bank, caller: Caller, wallet: Wallet) -> bool:
    return (
        access.acts_for(bank, caller, wallet.holder)
        or access.is_staff(bank, caller, wallet.operator)
        or access.may_audit(bank, caller)
    )


def require_opener(bank: Bank, caller: Caller, operator: int) -> None:
    """Raise DutyMissing unless the caller may open wallets of an operator."""
    access.require_operator(caller, operator)
    bank.people.require(caller.person, OPEN, operator=operator)


def _opening(body: Opening, caller: Caller, signatures: Signatures) -> dict[str, Any]:
    """Return the arguments of an opening."""
    return {
        "operator": body.operator,
        "tier": body.tier,
        "signers": signatures.person(caller.person),
        "who": caller.person,
        "account": number(body.wallet) if body.wallet else 0,
        "key": PublicKey.parse(body.key) if body.key else None,
        "proof": bytes.fromhex(body.proof),
        "id": body.number,
    }


def _opened(wallet: Wallet) -> dict[str, Any]:
    return {"wallet": ids.format(wallet.account), "holder": ids.format(wallet.holder), "state": wallet.state}


def _changed(wallet: Wallet) -> dict[str, Any]:
    return {"wallet": ids.format(wallet.account), "tier": wallet.wallet_class, "state": wallet.state}


def _summary(wallet: Wallet) -> dict[str, Any]:
    return {
        **_changed(wallet),
        "holder": ids.format(wallet.holder),
        "operator": wallet.operator,
        "opened": exact_text(wallet.opened_ns),
    }


def _statement(
    bank: Bank, caller: Caller, account: int, limit: int, cursor: str
) -> tuple[list[dict[str, Any]], tuple[int] | None]:
    """Return the lines of a page, and the place of the next page."""
    wallet = access.visible_wallet(bank, caller, account)
    if wallet.state not in (IS_OPEN, CLOSED):
        return [], None
    (place,) = paging.decode(cursor, int) or (0,)
    if place < 0:
        raise UsageError("this is no cursor of this list", hint="use `next` of the page before as it is")
    page = bank.stores.ledger.statement_page(account, lines=min(limit, PAGE_LINES_MAX), cursor=place)
    lines, operations = page.lines, ids.of_records(page.lines, "operation")
    texts: dict[int, str] = {}
    if access.acts_for(bank, caller, wallet.holder):
        texts = own_texts(bank.stores.engine, bank.personal, account, wallet.holder, operations)
    columns = (lines[name].tolist() for name in ("time_ns", "purpose", "amount", "balance"))
    rows = [
        {
            "time": exact_text(time_ns),
            "purpose": Purpose(purpose).name,
            "amount_minor": str(amount),
            "balance_minor": str(balance),
            "counterparty": ids.format(counterparty) if counterparty else None,
            "operation": ids.format(operation),
            "text": access.shown_text(caller, texts.get(operation, "")),
        }
        for time_ns, purpose, amount, balance, counterparty, operation in zip(
            *columns, ids.of_records(lines, "counterparty"), operations, strict=True
        )
    ]
    return rows, (page.cursor,) if page.cursor else None
