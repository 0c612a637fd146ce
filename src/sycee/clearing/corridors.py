"""Corridors between currencies: who may quote which pair, quotes with an expiry, and their acceptance.

Officers of both currencies open a corridor for a participant. It signs quotes; another participant signs the acceptance
of one, before its end and while it is the newest of its pair. An acceptance is a payment against payment, which both
sides have signed: the house books its two legs together, as every other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import sqlalchemy
from sqlalchemy.engine import Connection, Row

from sycee.clearing import events, quotes
from sycee.clearing.house import Register
from sycee.clearing.instructions import Instructions, Receipt, uetr_bytes
from sycee.clearing.permits import Permits
from sycee.clearing.quotes import Acceptance, Quote
from sycee.clearing.receiving import Receiving, next_number
from sycee.clearing.tables import CANCELLED, CORRIDORS, DEALS, OPEN, PAYMENTS, PROPOSED, QUOTES, REFUSED, UNMATCHED
from sycee.core import ids, money
from sycee.core.arrays import Array
from sycee.core.clock import read_ns
from sycee.core.errors import NotFound, UsageError
from sycee.core.records.proposal_format import Proposal
from sycee.core.result_codes import Result
from sycee.core.timestamps import utc_text
from sycee.database.actions import Intent
from sycee.database.stores import Stores
from sycee.database.transactions import reading
from sycee.identity.proposals import Proposals

if TYPE_CHECKING:
    from sycee.clearing.chains import Chain

CORRIDOR: Final = "clearing.corridor"
VALID_MAX_S: Final = 86_400  # of a quote
_BIC: Final = (8, 11)  # characters
_CURRENT: Final = 100_000  # quotes of one list


@dataclass(frozen=True, slots=True)
class Corridor:
    """What a participant may quote. `most_minor`: of one quote, in the currency that it takes; 0: nothing any more."""

    number: int
    provider: int
    takes: int
    gives: int
    most_minor: int
    valid_ns: int
    state: str
    proposal: int
    made_ns: int


@dataclass(frozen=True, slots=True)
class StoredQuote:
    """A quote as stored. Currencies are ISO 4217 numbers.

    `used_minor`: of its amount, what acceptances took. `corridor_minor`: the most that its corridor permits now.
    """

    number: int
    id: int
    provider: int
    takes: int
    gives: int
    rate: Fraction
    least_minor: int
    most_minor: int
    until_ns: int
    digest: str
    message: int
    at_ns: int
    used_minor: int
    corridor_minor: int

    @property
    def left_minor(self) -> int:
        """Return what may still be accepted."""
        return max(0, min(self.most_minor, self.corridor_minor) - self.used_minor)


class Corridors:
    """The corridors of the house of one bank."""

    def __init__(
        self, stores: Stores, proposals: Proposals, register: Register, receiving: Receiving, permits: Permits
    ) -> None:
        self._stores, self._proposals, self._register = stores, proposals, register
        self._receiving, self._permits = receiving, permits
        stores.actions.register(_Corridor())

    # --- officers ---

    def open(
        self, provider: int, takes: str, gives: str, *, most_minor: int, valid_s: int, maker: int, id: int = 0
    ) -> Proposal:
        """Propose what a participant may quote for a pair of currencies. It replaces what it could quote before.

        - `most_minor`: the most that a quote offers, in `takes`; 0 ends the corridor. `valid_s`: its longest validity.
        - `id`: the same id with the same arguments returns the proposal.

        Two officers sign: one of each currency, or of the board. Raises UsageError for a pair that the participant has
        no positions in.
        """
        pair = [money.currency(each).numeric for each in (takes, gives)]
        if pair[0] == pair[1]:
            raise UsageError(f"a corridor has two currencies; got {takes} twice", hint="name another currency")
        if most_minor < 0 or not 0 < valid_s <= VALID_MAX_S:
            raise UsageError(f"an amount is at least 0, and a quote is valid for 1 to {VALID_MAX_S:,} seconds")
        for each in pair:
            self._register.position(provider, each)
        proposal = id or self._stores.new_id()
        row = {
            "provider": provider, "takes": pair[0], "gives": pair[1], "most_minor": most_minor,
            "valid_ns": valid_s * 10**9, "state": PROPOSED, "proposal": proposal,
            "made_ns": read_ns(self._stores.clock),
        }  # fmt: skip

        def before(connection: Connection) -> None:
            connection.execute(CORRIDORS.insert().values(row | {"number": next_number(connection, CORRIDORS.c.number)}))

        effect = {"participant": provider, "currencies": pair, "most_minor": most_minor, "valid_s": valid_s}
        return self._proposals.propose(CORRIDOR, None, effect, maker=maker, id=proposal, before=before)

    # --- reading ---

    def corridors(self) -> list[Corridor]:
        """Return the corridors that count now, by provider and currencies."""
        query = sqlalchemy.select(CORRIDORS).where(_in_force())
        query = query.order_by(CORRIDORS.c.provider, CORRIDORS.c.takes, CORRIDORS.c.gives)
        with reading(self._stores.engine) as connection:
            return [Corridor(**row._mapping) for row in connection.execute(query)]

    def get(self, id: int) -> StoredQuote:
        """Return a quote. Raises NotFound if there is none."""
        with reading(self._stores.engine) as connection:
            return _quote(connection, id)

    def has_quote(self, id: int) -> bool:
        """Return whether a quote of this id is stored."""
        with reading(self._stores.engine) as connection:
            return connection.scalar(sqlalchemy.select(QUOTES.c.number).where(QUOTES.c.id == id)) is not None

    def current(self) -> list[StoredQuote]:
        """Return the quotes that may be accepted now, by provider and currencies."""
        query = quotes_in_force(read_ns(self._stores.clock)).limit(_CURRENT)
        query = query.order_by(QUOTES.c.provider, QUOTES.c.takes, QUOTES.c.gives)
        with reading(self._stores.engine) as connection:
            found = [_quote(connection, row.id) for row in connection.execute(query).all()]
        return [each for each in found if each.left_minor > 0]

    def quote_of(self, payment: int) -> StoredQuote:
        """Return the quote of which a payment is an acceptance. Raises NotFound for another payment."""
        query = sqlalchemy.select(QUOTES.c.id).join(DEALS, DEALS.c.quote == QUOTES.c.number)
        with reading(self._stores.engine) as connection:
            id = connection.scalar(query.where(DEALS.c.payment == payment))
            if id is None:
                raise NotFound(f"payment {payment} accepts no quote")
            return _quote(connection, id)

    # --- participants ---

    def quote(self, provider: int, content: bytes, signature: bytes, *, who: int) -> StoredQuote:
        """Store the signed quote of a participant, `Quote.content`. It replaces its earlier quote of the pair.

        The same quote again changes nothing. A person of the participant's operator delivers. Raises UsageError, with
        nothing stored, without a corridor for the pair, above its limits, for a wrong signature, and if the id belongs
        to another quote.
        """
        made = quotes.read_quote(content)
        self._require_own(provider, made.provider)
        takes, gives = money.currency(made.takes).numeric, money.currency(made.gives).numeric

        def store(connection: Connection, message: int) -> None:
            now_ns = read_ns(self._stores.clock)
            _check_corridor(connection, provider, takes, gives, made, now_ns)
            if connection.scalar(sqlalchemy.select(QUOTES.c.number).where(QUOTES.c.id == made.id)) is not None:
                raise _other_quote(made.id)
            row = {
                "number": next_number(connection, QUOTES.c.number), "id": made.id, "provider": provider, "takes": takes,
                "gives": gives, "numerator": made.rate.numerator, "denominator": made.rate.denominator,
                "least_minor": made.least_minor, "most_minor": made.most_minor, "until_ns": made.until_ns,
                "digest": made.digest, "message": message, "at_ns": now_ns,
            }  # fmt: skip
            connection.execute(QUOTES.insert().values(row))

        verified = self._receiving.verified(provider, content, signature, who=who)
        self._receiving.keep(verified, f"{made.id:032x}", kind=quotes.QUOTE, also=store)
        stored = self.get(made.id)
        if (stored.provider, stored.digest) != (provider, made.digest):
            raise _other_quote(made.id)
        return stored

    def acceptance(self, taker: int, quote: int, pays_minor: int, *, uetr: str) -> Acceptance:
        """Return what a participant signs to accept a quote for an amount. Raises UsageError if it is expired."""
        with reading(self._stores.engine) as connection:
            found = _quote(connection, quote)
            _check_open(connection, found, pays_minor, read_ns(self._stores.clock))
        code = self._register.participant(taker).code
        return Acceptance(quote, found.digest, code, uetr, pays_minor, _gets(found, pays_minor))

    def accept(self, taker: int, content: bytes, signature: bytes, *, who: int) -> int:
        """Store the signed acceptance of a quote, `Acceptance.content`, as a payment; return its number.

        The payment is queued, or waits for compliance. The same acceptance again returns the same number. A person of
        the participant's operator delivers. Raises UsageError, with nothing stored, if the quote is expired, was
        replaced, or offers less, if the amounts are not those of its rate, and for a wrong signature or a payment that
        the house refuses.
        """
        made = quotes.read_acceptance(content)
        self._require_own(taker, made.taker)
        found = self.get(made.quote)
        if made.digest != found.digest:
            raise UsageError(
                f"the acceptance is of another quote than {ids.format(made.quote)}", hint="accept the stored quote anew"
            )
        gets = _gets(found, made.pays_minor)
        if made.gets_minor != gets:
            raise UsageError(
                f"{made.pays_minor} minor units at the rate {found.rate} are {gets}, and the acceptance says "
                f"{made.gets_minor}",
                hint="the amount is rounded down",
            )

        def store(connection: Connection, receipt: Receipt, match: Callable[[int, int], None]) -> None:
            number = int(receipt.numbers[0])
            if not number:
                raise UsageError(f"the house refuses the payment: {receipt.reasons[0]}", hint="use a fresh UETR")
            if not receipt.is_new[0]:
                if connection.scalar(sqlalchemy.select(DEALS.c.quote).where(DEALS.c.payment == number)) is None:
                    raise UsageError(f"the UETR {made.uetr} belongs to another payment", hint="use a fresh UETR")
                return
            paid = connection.execute(sqlalchemy.select(PAYMENTS).where(PAYMENTS.c.number == number)).one()
            if paid.state != UNMATCHED:
                raise UsageError(f"the house refuses the payment: {paid.reason}", hint="see the page of clearing")
            _check_open(connection, found, made.pays_minor, paid.at_ns)
            connection.execute(DEALS.insert().values(payment=number, quote=found.number, at_ns=paid.at_ns))
            match(number, found.message)
            pays, gives = (found.takes, made.pays_minor), (found.gives, gets)
            events.accepted(connection, self._stores.clock, found.id, found.provider, made.uetr, pays, gives)

        def column(value: int) -> Array:
            return np.array([value], np.int64)

        chains, back_chains = self._chains(made, found)
        instructions = Instructions(
            uetr_bytes([made.uetr]), [made.uetr.replace("-", "")], column(0), column(found.provider),
            column(found.takes), column(made.pays_minor), back_currencies=column(found.gives),
            back_amounts=column(gets), chains=chains, back_chains=back_chains,
        )  # fmt: skip
        receipt = self._receiving.receive(
            taker, content, signature, instructions, kind=quotes.ACCEPTANCE, who=who, also=store
        )
        if instructions.chains:
            self._permits.ask()
        return int(receipt.numbers[0])

    def _chains(self, made: Acceptance, found: StoredQuote) -> tuple[dict[int, Chain], dict[int, Chain]]:
        """Return the chains of both legs of an acceptance for compliance, if they may cross a border.

        The taker pays the provider, and the provider pays the taker.
        """
        from sycee.clearing.chains import Chain
        from sycee.iso20022.credit_transfers import Agent

        codes = (made.taker, self._register.participant(found.provider).code)
        # A code that is no BIC names no state.
        agents = tuple(Agent(bic=each, states=(each[4:6],) if len(each) in _BIC else ()) for each in codes)
        chain, back = Chain(agents), Chain(agents[::-1])
        return ({0: chain}, {0: back}) if chain.crosses else ({}, {})

    def _require_own(self, participant: int, code: str) -> None:
        mine = self._register.participant(participant).code
        if code != mine:
            raise UsageError(f"it is {code}'s, and {mine} delivers it", hint="deliver your own")


def _other_quote(id: int) -> UsageError:
    return UsageError(f"the id {ids.format(id)} belongs to another quote", hint="use a fresh id")


def _gets(found: StoredQuote, pays_minor: int) -> int:
    codes = (money.currency_code(found.takes), money.currency_code(found.gives))
    return quotes.given(found.rate, pays_minor, *codes)


def quotes_in_force(now_ns: int) -> sqlalchemy.Select[Any]:
    """Return the query for all quotes that count: the newest of a corridor in force, before its end, not withdrawn.

    It reads one quote of each corridor by the index of pairs, however many quotes are stored.
    """
    other = QUOTES.alias()
    of_pair = (other.c[name] == CORRIDORS.c[name] for name in ("provider", "takes", "gives"))
    newest = sqlalchemy.select(sqlalchemy.func.max(other.c.number)).where(*of_pair).correlate(CORRIDORS)
    joined = CORRIDORS.join(QUOTES, QUOTES.c.number == newest.scalar_subquery())
    query = sqlalchemy.select(QUOTES).select_from(joined)
    return query.where(_in_force(), QUOTES.c.most_minor > 0, QUOTES.c.until_ns > now_ns)


def _in_force() -> sqlalchemy.ColumnElement[bool]:
    """Return the condition that a corridor is the newest open one of its pair, and not ended."""
    newest = sqlalchemy.select(sqlalchemy.func.max(CORRIDORS.c.number)).where(CORRIDORS.c.state == OPEN)
    newest = newest.group_by(CORRIDORS.c.provider, CORRIDORS.c.takes, CORRIDORS.c.gives).correlate(None)
    return CORRIDORS.c.number.in_(newest) & (CORRIDORS.c.most_minor > 0)


def _permitted(connection: Connection, provider: int, takes: int, gives: int) -> Row[Any] | None:
    """Return the corridor that counts for a pair, None if there is none or it was ended."""
    pair = (CORRIDORS.c.provider == provider) & (CORRIDORS.c.takes == takes) & (CORRIDORS.c.gives == gives)
    return connection.execute(sqlalchemy.select(CORRIDORS).where(pair, _in_force())).one_or_none()


def _check_corridor(connection: Connection, provider: int, takes: int, gives: int, made: Quote, now_ns: int) -> None:
    """Raise UsageError unless the corridor of a quote permits it."""
    found = _permitted(connection, provider, takes, gives)
    if found is None:
        raise UsageError(
            f"{made.provider} has no corridor from {made.takes} to {made.gives}",
            hint="officers of both currencies open it: `sycee clearing corridor`",
        )
    if made.most_minor > found.most_minor:
        most, offered = (_shown(each, takes) for each in (found.most_minor, made.most_minor))
        raise UsageError(f"a quote of this corridor offers at most {most}, and not {offered}", hint="offer less")
    if not now_ns < made.until_ns <= now_ns + found.valid_ns:
        raise UsageError(
            f"the quote ends at {utc_text(made.until_ns)}",
            hint=f"a quote of this corridor is valid for up to {found.valid_ns // 10**9:,} s",
        )


def _check_open(connection: Connection, found: StoredQuote, pays_minor: int, now_ns: int) -> None:
    """Raise UsageError unless a quote may be accepted now for an amount."""
    name = f"the quote {ids.format(found.id)}"
    if now_ns >= found.until_ns:
        raise UsageError(f"{name} ended at {utc_text(found.until_ns)}", hint="ask for a new quote")
    pair = (QUOTES.c.provider == found.provider) & (QUOTES.c.takes == found.takes) & (QUOTES.c.gives == found.gives)
    newest = connection.execute(
        sqlalchemy.select(QUOTES.c.id).where(pair).order_by(QUOTES.c.number.desc()).limit(1)
    ).scalar_one()
    if newest != found.id:
        raise UsageError(f"{name} was replaced by {ids.format(newest)}", hint="accept the newer one")
    stored = _quote(connection, found.id)
    if not stored.corridor_minor:
        raise UsageError(f"{name} is not accepted: officers ended its corridor", hint="ask another participant")
    least, left = max(1, found.least_minor), stored.left_minor
    if not least <= pays_minor <= left:
        amounts = [_shown(each, found.takes) for each in (least, left, pays_minor)]
        raise UsageError(
            f"{name} is accepted for {amounts[0]} to {amounts[1]}; got {amounts[2]}", hint="name another amount"
        )
    if _gets(found, pays_minor) < 1:
        raise UsageError(f"{pays_minor} minor units at the rate {found.rate} are less than one", hint="name more")


def _quote(connection: Connection, id: int) -> StoredQuote:
    row = connection.execute(sqlalchemy.select(QUOTES).where(QUOTES.c.id == id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no quote {ids.format(id)}", hint="`sycee clearing quotes` lists them")
    # What was cancelled or refused since is free again.
    lost = PAYMENTS.c.state.in_((CANCELLED, REFUSED))
    used = sqlalchemy.select(sqlalchemy.func.sum(PAYMENTS.c.minor)).join(DEALS, DEALS.c.payment == PAYMENTS.c.number)
    minor = connection.scalar(used.where(DEALS.c.quote == row.number, sqlalchemy.not_(lost)))
    values = {name: value for name, value in row._mapping.items() if name not in ("numerator", "denominator")}
    corridor = _permitted(connection, row.provider, row.takes, row.gives)
    return StoredQuote(
        **values, rate=Fraction(row.numerator, row.denominator), used_minor=int(minor or 0),
        corridor_minor=corridor.most_minor if corridor else 0,
    )  # fmt: skip


def _shown(minor: int, currency: int) -> str:
    found = money.currency_of(currency)
    return money.with_code(minor, found)


class _Corridor:
    """A corridor counts from the moment at which its proposal is signed."""

    name = CORRIDOR

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Open the corridor. It gets the next number: of a pair, the corridor that opened last counts."""
        values = {"state": OPEN, "number": next_number(connection, CORRIDORS.c.number)}
        chosen = (CORRIDORS.c.proposal == intent.id) & (CORRIDORS.c.state != OPEN)
        connection.execute(CORRIDORS.update().where(chosen).values(values))

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Refuse the corridor."""
        connection.execute(CORRIDORS.update().where(CORRIDORS.c.proposal == intent.id).values(state=REFUSED))
