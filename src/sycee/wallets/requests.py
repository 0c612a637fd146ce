"""Requests to pay: signed by the payee, shown to the payer, and paid, declined, withdrawn or expired.

The signature covers everything that the payer sees but the text, whose digest it covers. Requests are verified when
they are made and again before they are shown or paid. So a changed row of the database cannot ask for money.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.core import ids
from sycee.core.clock import read_ns
from sycee.core.errors import IntegrityError, NotFound, UsageError
from sycee.core.keys import PublicKey, SigningKey
from sycee.core.limits import I64_MAX
from sycee.core.records.signed_messages import request_message
from sycee.database.jobs import Run
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write
from sycee.identity.people import People
from sycee.identity.remote_key import RemoteKey
from sycee.sequencer.signer import Signer
from sycee.wallets.directory import Directory, Wallet
from sycee.wallets.payments import Paid, Payments
from sycee.wallets.references import References, check_order, check_text
from sycee.wallets.tables import DECLINED, EXPIRED, OPEN, REQUESTS, WITHDRAWN

if TYPE_CHECKING:
    from sycee.identity.institutions import Institutions

EXPIRE: Final = "request.expire"


@dataclass(frozen=True, slots=True)
class Request:
    """A request to pay. `payer`: 0 for anybody; `order`: "" for none; `text`: of the payee, "" for none."""

    id: int
    payee: int
    payer: int
    minor: int
    currency: int
    till: int
    order: str
    text: str
    expires_ns: int
    state: str
    operation: int


class Requests:
    """The requests to pay of one bank."""

    def __init__(
        self, stores: Stores, people: People, institutions: Institutions, directory: Directory, references: References,
        payments: Payments,
    ) -> None:  # fmt: skip
        self._stores, self._people, self._institutions = stores, people, institutions
        self._directory, self._references, self._payments = directory, references, payments
        stores.jobs.register(EXPIRE, self._expire)

    def ask(
        self,
        payee: int,
        minor: int,
        *,
        key: SigningKey | RemoteKey,
        expires_ns: int,
        payer: int = 0,
        text: str = "",
        till: int = 0,
        order: str = "",
        id: int = 0,
    ) -> Request:
        """Store a request for an amount in minor units, and return it.

        - `key`: of the payee's wallet, of the till, or of the operator of a custodial wallet.
        - `payer`: the only wallet that may pay; 0 for anybody. An account that is no open wallet never pays: the error
          would tell anybody which accounts exist.
        - `id`: the same id again returns the stored request.

        Raises UsageError for another key, an amount below 1, an expiry that is not in the future, and wrong texts.
        """
        check_text(text)
        wallet = self._directory.require_open(payee)
        if order:
            check_order(order)
        if till and self._institutions.till(till).merchant != wallet.holder:
            raise UsageError(f"till {ids.format(till)} is of another merchant", hint="name a till of the payee")
        now_ns = read_ns(self._stores.clock)
        if not (0 < minor <= I64_MAX and now_ns < expires_ns <= I64_MAX):
            raise UsageError("a request needs an amount above 0 and an expiry in the future")
        self._require_signer(wallet, till, key.public)
        request = id or ids.new(now_ns // 1_000_000)
        currency = self._stores.ledger.account(payee).currency
        message = request_message(
            self._stores.ledger.ledger_id, request, payee=payee, payer=payer, till=till, minor=minor, currency=currency,
            expires_ns=expires_ns, order=order, text=text,
        )  # fmt: skip
        row = {
            "id": request,
            "payee": payee,
            "payer": payer or None,
            "minor": minor,
            "currency": currency,
            "till": till or None,
            "order_number": order or None,
            "payee_sealed": self._references.seal(wallet.holder, text),
            "signer_key": str(key.public),
            "signature": key.sign(message),
            "expires_ns": expires_ns,
            "state": OPEN,
        }

        def store(connection: Connection) -> None:
            if connection.scalar(sqlalchemy.select(REQUESTS.c.id).where(REQUESTS.c.id == request)) is not None:
                return
            connection.execute(REQUESTS.insert().values(row))
            self._stores.jobs.add(
                connection, EXPIRE, expires_ns, key=ids.format(request), payload={"request": ids.format(request)}
            )

        write(self._stores.engine, store)
        return self.get(request)

    def get(self, request: int) -> Request:
        """Return a request. Raises UsageError if there is none, IntegrityError if its signature does not fit."""
        return self._verified(self._row(request))

    def open_for(self, payer: int) -> list[Request]:
        """Return the open requests that name a wallet as the payer, the oldest first. Errors as `get`."""
        now_ns = read_ns(self._stores.clock)
        chosen = (REQUESTS.c.payer == payer) & (REQUESTS.c.state == OPEN) & (REQUESTS.c.expires_ns > now_ns)
        return self._list(chosen)

    def of_payee(self, payee: int) -> list[Request]:
        """Return the requests of a payee, the oldest first. Errors as `get`."""
        return self._list(REQUESTS.c.payee == payee)

    def page(self, account: int, *, is_payer: bool, after: int = 0, limit: int) -> tuple[list[Request], int]:
        """Return the requests among up to `limit` rows of an account with ids above `after`, and the last row's id.

        `is_payer`: the open requests that the account may pay; otherwise all requests of the payee. Requests that the
        payee's present keys did not sign are omitted: nobody can pay them. The last id is 0 after the last page.
        """
        chosen = (REQUESTS.c.payee == account) & (REQUESTS.c.id > after)
        if is_payer:
            now_ns = read_ns(self._stores.clock)
            chosen = (REQUESTS.c.payer == account) & (REQUESTS.c.state == OPEN) & (REQUESTS.c.expires_ns > now_ns)
            chosen &= REQUESTS.c.id > after
        query = sqlalchemy.select(REQUESTS).where(chosen).order_by(REQUESTS.c.id).limit(limit)
        with reading(self._stores.engine) as connection:
            rows = list(connection.execute(query))
        found = []
        for row in rows:
            with suppress(UsageError, IntegrityError):
                found.append(self._verified(row))
        return found, rows[-1].id if len(rows) == limit else 0

    def pay(self, request: int, payer: int, *, signers: Sequence[Signer], who: int, operation: int = 0) -> Paid:
        """Pay an open request. The payment's signature ends with the request, at the latest.

        `operation`: the payment's id; the same id again returns the first outcome. Raises UsageError if the request is
        not open or names another payer, and the errors of `get`.
        """
        row = self._row(request)
        found = self._verified(row)
        if found.payer not in (0, payer):
            raise UsageError(f"request {ids.format(request)} is for another payer", hint="pay from the named wallet")
        is_repeated = operation and self._stores.intents.find(operation) is not None
        if found.state != OPEN and not is_repeated:
            raise UsageError(f"request {ids.format(request)} is {found.state}", hint="only an open request can be paid")
        return self._payments.pay_request(row, payer, signers=signers, who=who, operation=operation)

    def decline(self, request: int, *, by: int) -> None:
        """Decline a request, as the holder of the payer's wallet."""
        found = self.get(request)
        if not found.payer or self._directory.holder_of(found.payer) != by:
            raise UsageError(
                f"request {ids.format(request)} is not addressed to {ids.format(by)}",
                hint="its payer alone declines it",
            )
        self._end(request, DECLINED)

    def withdraw(self, request: int, *, by: int) -> None:
        """Withdraw a request, as the holder of the payee's wallet or a person of its operator."""
        wallet = self._directory.get(self.get(request).payee)
        if wallet.holder != by:
            self._people.require(by, "wallet.open", operator=wallet.operator)
        self._end(request, WITHDRAWN)

    # --- helpers ---

    def _list(self, chosen: Any) -> list[Request]:
        with reading(self._stores.engine) as connection:
            rows = list(connection.execute(sqlalchemy.select(REQUESTS).where(chosen).order_by(REQUESTS.c.id)))
        return [self._verified(row) for row in rows]

    def _row(self, request: int) -> sqlalchemy.Row[Any]:
        with reading(self._stores.engine) as connection:
            row = connection.execute(sqlalchemy.select(REQUESTS).where(REQUESTS.c.id == request)).one_or_none()
        if row is None:
            raise NotFound(f"there is no request {ids.format(request)}", hint="`sycee request list` shows requests")
        return row

    def _verified(self, row: sqlalchemy.Row[Any]) -> Request:
        """Return the request of a row after verifying its signature and whose key it is."""
        wallet = self._directory.get(row.payee)
        text = self._references.text(row.operation or 0, wallet.holder, row.payee_sealed, access=None)
        values: Mapping[str, Any] = {
            "payee": row.payee,
            "payer": row.payer or 0,
            "till": row.till or 0,
            "minor": row.minor,
            "currency": row.currency,
            "expires_ns": row.expires_ns,
            "order": row.order_number or "",
            "text": text,
        }
        key = PublicKey.parse(row.signer_key)
        message = request_message(self._stores.ledger.ledger_id, row.id, **values)
        if not key.verifies(bytes(row.signature), message):
            raise IntegrityError(
                f"request {ids.format(row.id)} is not what its payee signed",
                hint="it was changed after it was signed: do not pay it",
            )
        self._require_signer(wallet, row.till or 0, key)
        is_over = row.state == OPEN and row.expires_ns <= read_ns(self._stores.clock)
        return Request(row.id, state=EXPIRED if is_over else row.state, operation=row.operation or 0, **values)

    def _require_signer(self, wallet: Wallet, till: int, key: PublicKey) -> None:
        """Raise UsageError unless a key may ask for money to a wallet."""
        account = self._stores.ledger.account(wallet.account)
        if account.key:
            allowed = [PublicKey(int(account.key_flags), account.key)]
        else:
            with self._stores.ledger.sequencer.reading() as state:
                now_ns = max(read_ns(self._stores.clock), state.now_ns)
                allowed = [
                    PublicKey(int(grant.flags), grant.key)
                    for grant in state.grants.values()
                    if grant.counts(now_ns) and grant.operator == wallet.operator
                ]
        if till:
            of_till = self._institutions.till(till).public_key
            allowed += [of_till] if of_till is not None else []
        if key not in allowed:
            raise UsageError(
                f"the key {key} may not ask for payments to {ids.format(wallet.account)}",
                hint="a request is signed by the wallet's own key, the till's, or a custodial wallet's operator",
            )

    def _end(self, request: int, state: str) -> None:
        def end(connection: Connection) -> int:
            chosen = (REQUESTS.c.id == request) & (REQUESTS.c.state == OPEN)
            return connection.execute(REQUESTS.update().where(chosen).values(state=state)).rowcount

        if not write(self._stores.engine, end) and self._row(request).state != state:
            raise UsageError(
                f"request {ids.format(request)} is {self._row(request).state}", hint="only an open request can end"
            )

    def _expire(self, run: Run) -> None:
        """Mark a request as expired, unless it is being paid: the payment's end decides then."""
        chosen = (REQUESTS.c.id == ids.parse(run.payload["request"])) & (REQUESTS.c.state == OPEN)
        write(
            self._stores.engine,
            lambda connection: connection.execute(REQUESTS.update().where(chosen).values(state=EXPIRED)),
        )
