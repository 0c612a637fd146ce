"""SQL tables of the clearing house. Money is on the ledger; the life of a payment and its mandate are here."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
)

from sycee.database.columns import DAY, DIGEST, MINOR, NS, NUMBER, Id128, required, state_column
from sycee.database.migrations import Schema

METADATA: Final = MetaData()
SCHEMA: Final = Schema("clearing", METADATA, Path(__file__).parent / "migrations")

# Of the house, a currency, a participant and a position.
PROPOSED: Final = "proposed"  # officers sign
OPEN: Final = "open"
REFUSED: Final = "refused"
# Of a payment.
UNMATCHED: Final = "unmatched"  # payment against payment: the other bank's message is missing
VALID: Final = "valid"  # kept and checked; needs a permit of compliance
CLEARED: Final = "cleared"  # permitted, and not due yet
QUEUED: Final = "queued"
DECIDED: Final = "decided"  # in the one open set of its row in MEMBERS
BOOKED: Final = "booked"  # final on the ledger
CANCELLED: Final = "cancelled"
RETURNED: Final = "returned"  # booked, and paid back by another payment
STATES: Final = (UNMATCHED, VALID, CLEARED, QUEUED, DECIDED, BOOKED, REFUSED, CANCELLED, RETURNED)
WAITING: Final = (UNMATCHED, VALID, CLEARED, QUEUED)  # can be cancelled
# Of a request to return a payment, whose first state is OPEN.
ACCEPTED: Final = "accepted"
REJECTED: Final = "rejected"
# Kinds of a set, and its states.
GROSS: Final = "gross"  # each payment separately
NET: Final = "net"  # all payments together, with a certificate
BOOKING: Final = "booking"
DONE: Final = "done"
DISCARDED: Final = "discarded"
# Of a day, whose first state is OPEN.
CALLED: Final = "called"  # closed: participants are asked for the money that their queues need
FUNDED: Final = "funded"  # the time for it is over
SETTLED: Final = "settled"  # after the last round
ENDED: Final = "ended"
# Kinds of a limit.
BILATERAL: Final = "bilateral"  # the most that goes net to one other participant in a day
MULTILATERAL: Final = "multilateral"  # the most that goes net to all others in a day
RESERVATION: Final = "reservation"  # kept for urgent payments
LIMIT_KINDS: Final = (BILATERAL, MULTILATERAL, RESERVATION)

_LIMITS: Final = ", ".join(f"'{each}'" for each in LIMIT_KINDS)

# One row. `operator`: owns all positions. Groups and `line_rule_set`: numbers on the ledger.
HOUSE: Final = Table(
    "clearing_house",
    METADATA,
    Column("operator", Integer, primary_key=True, autoincrement=False),
    *required(Integer, "positions", "lines", "exits", "line_rule_set"),
    state_column(PROPOSED, OPEN, REFUSED),
    *required(Id128, "proposal"),
)
# `currency`: ISO 4217 number. `suspense`: the house's. `issuance`: of the currency.
CURRENCIES: Final = Table(
    "clearing_currencies",
    METADATA,
    Column("currency", Integer, primary_key=True, autoincrement=False),
    *required(Id128, "issuance", "suspense"),
    state_column(PROPOSED, OPEN, REFUSED),
    *required(Id128, "proposal"),
)
# `participant`: the operator's number. `code`: how messages name it, such as a BIC. `entity`: its id in declarations of
# compliance, or "".
PARTICIPANTS: Final = Table(
    "clearing_participants",
    METADATA,
    Column("participant", Integer, primary_key=True, autoincrement=False),
    Column("code", Text, nullable=False, unique=True),
    *required(Text, "entity"),
    state_column(PROPOSED, OPEN, REFUSED),
    *required(Id128, "proposal"),
)
# The keys with which participants sign messages: the newest counts.
MESSAGE_KEYS: Final = Table(
    "clearing_message_keys",
    METADATA,
    Column("participant", Integer, primary_key=True),
    Column("from_ns", NS, primary_key=True),
    *required(Text, "key"),
    *required(Id128, "who"),
)
# `account`, `line`: of the house's operator, on the ledger. `most_minor`: 0 for none.
POSITIONS: Final = Table(
    "clearing_positions",
    METADATA,
    Column("participant", Integer, primary_key=True),
    Column("currency", Integer, primary_key=True),
    *required(Id128, "account", "line"),
    *required(Integer, "rule_set"),
    *required(MINOR, "floor_minor", "most_minor"),
    state_column(PROPOSED, OPEN, REFUSED),
    *required(Id128, "proposal"),
)
# What officers filled a line with, or took from it if below zero. `id`: of the proposal.
LINES: Final = Table(
    "clearing_lines",
    METADATA,
    Column("id", Id128, primary_key=True),
    *required(Integer, "participant", "currency"),
    *required(MINOR, "minor"),
    state_column(PROPOSED, OPEN, REFUSED),
)
# What officers let a participant quote: the newest open row of a provider and pair counts. `number`: a row gets the
# next one when it is opened. `most_minor`: of a quote, in the currency that the provider takes, 0 for nothing any more.
# `valid_ns`: the longest validity of a quote.
CORRIDORS: Final = Table(
    "clearing_corridors",
    METADATA,
    Column("number", NUMBER, primary_key=True, autoincrement=False),
    *required(Integer, "provider", "takes", "gives"),
    *required(MINOR, "most_minor"),
    *required(BigInteger, "valid_ns"),
    state_column(PROPOSED, OPEN, REFUSED),
    Column("proposal", Id128, nullable=False, unique=True),
    *required(NS, "made_ns"),
)
# Signed quotes, only added to: the newest of a provider and pair counts, until its end. `numerator` / `denominator`:
# units of `gives` for one unit of `takes`. `message`: with the provider's mandate.
QUOTES: Final = Table(
    "clearing_quotes",
    METADATA,
    Column("number", NUMBER, primary_key=True, autoincrement=False),
    Column("id", Id128, nullable=False, unique=True),
    *required(Integer, "provider", "takes", "gives"),
    *required(BigInteger, "numerator", "denominator"),
    *required(MINOR, "least_minor", "most_minor"),
    *required(NS, "until_ns"),
    *required(DIGEST, "digest"),
    *required(NUMBER, "message"),
    *required(NS, "at_ns"),
)
Index("clearing_quotes_pair", QUOTES.c.provider, QUOTES.c.takes, QUOTES.c.gives, QUOTES.c.number)
# Which quote a payment accepts, only added to.
DEALS: Final = Table(
    "clearing_deals",
    METADATA,
    Column("payment", NUMBER, primary_key=True, autoincrement=False),
    *required(NUMBER, "quote"),
    *required(NS, "at_ns"),
)
Index("clearing_deals_quote", DEALS.c.quote)
# Dated limits: of the rows of a place whose `from_ns` has come, the last one counts, by `from_ns` and `number`.
# `other`: of a bilateral limit, else 0.
LIMITS: Final = Table(
    "clearing_limits",
    METADATA,
    Column("number", NUMBER, primary_key=True, autoincrement=False),
    Column("id", Id128, nullable=False, unique=True),
    *required(Integer, "participant", "currency"),
    Column("kind", Text, CheckConstraint(f"kind IN ({_LIMITS})"), nullable=False),
    *required(Integer, "other"),
    Column("minor", MINOR),  # NULL: no limit from then on
    *required(NS, "from_ns", "made_ns"),
    *required(Id128, "who"),
)
Index("clearing_limits_participant", LIMITS.c.participant, LIMITS.c.currency)
# What a participant sent: content, compressed, and the signature of its key over it.
DELIVERIES: Final = Table(
    "clearing_deliveries",
    METADATA,
    Column("id", Id128, primary_key=True),
    *required(Integer, "participant"),
    *required(DIGEST, "digest"),
    *required(Text, "key"),
    *required(LargeBinary, "signature", "content"),
    *required(NS, "at_ns"),
    *required(Id128, "who"),
    UniqueConstraint("participant", "digest", name="clearing_deliveries_content"),
)
# One row for each business message. `business_id`: the sender's, used once. `part`: its number in the delivery, from 0;
# -1 for a message of a version that did not store it. `answer`: the first one. `owes_answer`: 1 while
# the house has to answer it; 0 for a quote, and for a message whose answer the caller of `gateway.deliver` makes.
MESSAGES: Final = Table(
    "clearing_messages",
    METADATA,
    Column("message", NUMBER, primary_key=True, autoincrement=False),
    *required(Integer, "participant"),
    *required(Text, "business_id", "kind"),
    *required(Id128, "delivery"),
    *required(Integer, "part"),
    Column("answer", LargeBinary),
    *required(Integer, "owes_answer"),
    UniqueConstraint("participant", "business_id", name="clearing_messages_business_id"),
)
_UNANSWERED: Final = MESSAGES.c.owes_answer == 1
Index(
    "clearing_messages_unanswered", MESSAGES.c.message, sqlite_where=_UNANSWERED, postgresql_where=_UNANSWERED
)  # fmt: skip
# In order of arrival. `back_*`: of payment against payment, what the receiver pays at the same time, else 0;
# `back_message`: its message. `crossing`: 1 if compliance must permit it. `reason`: of a refusal. `from_ns`: not booked
# before; `until_ns`: cancelled if not booked by then, 0 for the end of the day. `original`: what it returns.
PAYMENTS: Final = Table(
    "clearing_payments",
    METADATA,
    Column("number", NUMBER, primary_key=True, autoincrement=False),
    Column("uetr", LargeBinary(16), nullable=False, unique=True),
    *required(Integer, "sender", "receiver", "currency"),
    *required(MINOR, "minor"),
    *required(Integer, "back_currency"),
    *required(MINOR, "back_minor"),
    *required(SmallInteger, "priority", "crossing"),
    *required(NUMBER, "message", "back_message", "original"),
    *required(NS, "from_ns", "until_ns", "at_ns", "booked_ns", "answered_ns"),
    *required(Text, "reason"),
    state_column(*STATES),
)
# Payments in open states have neither time; the others are those that were refused or cancelled and have no answer yet.
# An index by this condition is not changed when an open payment gets another state, and is much faster for it. SQLite
# uses the index only in queries that repeat the condition word for word, with the numbers and not as parameters.
UNBOOKED: Final = "booked_ns = 0 AND answered_ns = 0"
_IS_UNBOOKED: Final = (PAYMENTS.c.booked_ns == literal_column("0")) & (PAYMENTS.c.answered_ns == literal_column("0"))
Index(
    "clearing_payments_open", PAYMENTS.c.state, PAYMENTS.c.number, sqlite_where=_IS_UNBOOKED,
    postgresql_where=_IS_UNBOOKED,
)  # fmt: skip
_SIDES: Final = (PAYMENTS.c.sender, PAYMENTS.c.receiver)
Index("clearing_payments_between", *_SIDES, sqlite_where=_IS_UNBOOKED, postgresql_where=_IS_UNBOOKED)
_PAYS_BACK: Final = _IS_UNBOOKED & (PAYMENTS.c.back_minor > literal_column("0"))
Index("clearing_payments_backs", PAYMENTS.c.receiver, sqlite_where=_PAYS_BACK, postgresql_where=_PAYS_BACK)
_NOT_ANSWERED: Final = PAYMENTS.c.answered_ns == 0
Index("clearing_payments_answers", PAYMENTS.c.number, sqlite_where=_NOT_ANSWERED, postgresql_where=_NOT_ANSWERED)
Index("clearing_payments_message", PAYMENTS.c.message)
Index("clearing_payments_sender", PAYMENTS.c.sender, PAYMENTS.c.number)
Index("clearing_payments_receiver", PAYMENTS.c.receiver, PAYMENTS.c.number)
_IS_PAIR: Final = PAYMENTS.c.back_message > 0
Index("clearing_payments_back", PAYMENTS.c.back_message, sqlite_where=_IS_PAIR, postgresql_where=_IS_PAIR)
_IS_RETURN: Final = PAYMENTS.c.original > 0
Index("clearing_payments_original", PAYMENTS.c.original, sqlite_where=_IS_RETURN, postgresql_where=_IS_RETURN)
# What messages say about institutions and persons, as `chains.Chain.text`: once for all payments with the same.
CHAINS: Final = Table(
    "clearing_chains",
    METADATA,
    Column("chain", NUMBER, primary_key=True, autoincrement=False),
    Column("digest", DIGEST, nullable=False, unique=True),
    *required(Text, "content"),
)
# Of a payment that may cross a border: its chain, that of the other side of a payment against payment (0 for none of
# either), and the answers of compliance to all requests that follow from it.
# `digests`: of their records, with blanks between them; "" if it was not asked. `network`, `library`: digests of what
# judged, "" after a refusal.
PERMITS: Final = Table(
    "clearing_permits",
    METADATA,
    Column("payment", NUMBER, primary_key=True, autoincrement=False),
    *required(NUMBER, "chain", "back_chain"),
    *required(Text, "digests", "network", "library", "until_day"),
)
# Payment against payment by messages that name each other: `uetr` is that of the other side's message, as that of
# `payment` names it. Once that message is there, `back_message` of the payment is its number.
PAIRS: Final = Table(
    "clearing_pairs",
    METADATA,
    Column("payment", NUMBER, primary_key=True, autoincrement=False),
    Column("uetr", LargeBinary(16), nullable=False, index=True),
)
# What a participant asked to pay out, by the number of its message. `intent`: that moves the money. `ended_ns`: 0 while
# it waits. `reason`, `words`: of a refusal.
PAY_OUTS: Final = Table(
    "clearing_pay_outs",
    METADATA,
    Column("message", NUMBER, primary_key=True, autoincrement=False),
    *required(Integer, "participant", "currency"),
    *required(MINOR, "minor"),
    *required(Id128, "intent"),
    *required(NS, "ended_ns", "answered_ns"),
    *required(Text, "reason", "words"),
)
_WAITING_PAY_OUTS: Final = PAY_OUTS.c.answered_ns == 0
Index("clearing_pay_outs_open", PAY_OUTS.c.message, sqlite_where=_WAITING_PAY_OUTS, postgresql_where=_WAITING_PAY_OUTS)
# What the house forwards to `participant`: a message that follows from the message `source`, about one payment.
# `number`: in the order in which they are forwarded, 0 until the payment is booked. `exported_ns`: 0 until the message
# is written to a file.
INBOX: Final = Table(
    "clearing_inbox",
    METADATA,
    Column("source", NUMBER, primary_key=True, autoincrement=False),
    Column("payment", NUMBER, primary_key=True, autoincrement=False),
    *required(Integer, "participant"),
    *required(Text, "kind"),
    *required(NUMBER, "number"),
    *required(NS, "at_ns", "exported_ns"),
)
Index("clearing_inbox_participant", INBOX.c.participant, INBOX.c.number)
Index("clearing_inbox_number", INBOX.c.number)
_NOT_EXPORTED: Final = INBOX.c.exported_ns == 0
Index("clearing_inbox_not_exported", INBOX.c.number, sqlite_where=_NOT_EXPORTED, postgresql_where=_NOT_EXPORTED)
Index("clearing_inbox_payment", INBOX.c.payment)
# One row. `last`: the highest number of the inbox that was ever given.
INBOX_COUNTER: Final = Table(
    "clearing_inbox_counter",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    *required(NUMBER, "last"),
)
# Requests to return booked payments. `asked`: the sender's message; `answered`: the receiver's, 0 before it.
INVESTIGATIONS: Final = Table(
    "clearing_investigations",
    METADATA,
    Column("asked", NUMBER, primary_key=True, autoincrement=False),
    Column("payment", NUMBER, primary_key=True, autoincrement=False),
    *required(NUMBER, "answered"),
    state_column(OPEN, ACCEPTED, REJECTED),
    *required(NS, "at_ns", "ended_ns"),
)
Index("clearing_investigations_payment", INVESTIGATIONS.c.payment)
# Payments that were decided together. `first`: the id of its first record on the ledger; the others follow from it.
# `batch`: its number on the ledger, 0 for gross. `ended_ns`: 0 while the ledger may still have the batch. `records`,
# `total_minor`: of the batch, with draws on lines.
SETS: Final = Table(
    "clearing_sets",
    METADATA,
    Column("id", Id128, primary_key=True),
    Column("kind", Text, CheckConstraint(f"kind IN ('{GROSS}', '{NET}')"), nullable=False),
    *required(Id128, "first"),
    *required(NUMBER, "batch"),
    *required(BigInteger, "payments", "records", "total_minor"),
    *required(BigInteger, "frame"),
    *required(NS, "decided_ns", "ended_ns"),
    *required(Text, "reason"),
    state_column(BOOKING, DONE, DISCARDED),
    *required(Id128, "who"),
)
_NOT_ENDED: Final = SETS.c.ended_ns == 0
Index("clearing_sets_unfinished", SETS.c.id, sqlite_where=_NOT_ENDED, postgresql_where=_NOT_ENDED)
# A payment is in one open set at most: the row of a discarded set is removed. `place`: in the set, from 0.
MEMBERS: Final = Table(
    "clearing_members",
    METADATA,
    Column("payment", NUMBER, primary_key=True, autoincrement=False),
    *required(Id128, "set_id"),
    *required(BigInteger, "place"),
)
Index("clearing_members_set", MEMBERS.c.set_id, MEMBERS.c.place)
# Of a net set: what a position draws from its line, or repays if below zero.
DRAWS: Final = Table(
    "clearing_draws",
    METADATA,
    Column("set_id", Id128, primary_key=True),
    Column("participant", Integer, primary_key=True),
    Column("currency", Integer, primary_key=True),
    *required(MINOR, "minor"),
)
# What each pair paid in a booked set, by which bilateral and multilateral limits are used.
FLOWS: Final = Table(
    "clearing_flows",
    METADATA,
    Column("set_id", Id128, primary_key=True),
    Column("sender", Integer, primary_key=True),
    Column("receiver", Integer, primary_key=True),
    Column("currency", Integer, primary_key=True),
    *required(MINOR, "minor"),
    *required(NS, "at_ns"),
)
Index("clearing_flows_time", FLOWS.c.at_ns)
# Only added to. `header`, `rows`: the two files of docs/reference/certificate.md; `rows` is compressed.
CERTIFICATES: Final = Table(
    "clearing_certificates",
    METADATA,
    Column("set_id", Id128, primary_key=True),
    *required(DIGEST, "digest"),
    *required(LargeBinary, "header", "rows"),
    *required(NS, "at_ns"),
)
# One row for each business day. `close_ns`: of the closing round; `funding_ns`: until when called money can come.
# `last`: number of the newest payment at the close. `cancelled`: payments that the end of the day cancelled.
DAYS: Final = Table(
    "clearing_days",
    METADATA,
    Column("day", DAY, primary_key=True),
    *required(NS, "close_ns", "funding_ns"),
    *required(NUMBER, "last"),
    *required(BigInteger, "cancelled"),
    *required(NS, "opened_ns", "ended_ns"),
    state_column(OPEN, CALLED, FUNDED, SETTLED, ENDED),
    *required(Id128, "who"),
)
# Rounds of a day before its close. `done_ns`: 0 before.
ROUNDS: Final = Table(
    "clearing_rounds",
    METADATA,
    Column("day", DAY, primary_key=True),
    Column("due_ns", NS, primary_key=True, autoincrement=False),
    *required(NS, "done_ns"),
)
# What a participant was asked for at the close, and what it still lacked when the time was over.
CALLS: Final = Table(
    "clearing_calls",
    METADATA,
    Column("day", DAY, primary_key=True),
    Column("participant", Integer, primary_key=True),
    Column("currency", Integer, primary_key=True),
    *required(MINOR, "minor", "left_minor"),
)
# Participants that lacked money at the end of a day. `block`: id of the intent that blocks their positions.
DEFAULTS: Final = Table(
    "clearing_defaults",
    METADATA,
    Column("day", DAY, primary_key=True),
    Column("participant", Integer, primary_key=True),
    *required(Id128, "block"),
)


def in_states(*states: str) -> ColumnElement[bool]:
    """Return the condition that a payment is in one of these states, which are open: an index finds it."""
    return _IS_UNBOOKED & PAYMENTS.c.state.in_(states)
