"""What can be declared: the kinds of entities, their fields, and the words that rules are made of.

This one table is the language of the room. Declarations are read by it, paths in profiles are checked against it, the
JSON Schema and the reference page are made from it. It knows kinds of things (an organisation, a cable segment, a
flow), and no country and no vendor: those are data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

ORGANISATION: Final = "organisation"
FACILITY: Final = "facility"
SPAN: Final = "span"
SEGMENT: Final = "segment"
CLOUD: Final = "cloud"
STORE: Final = "store"
APP: Final = "app"
PARTICIPANT: Final = "participant"
FLOW: Final = "flow"

BASIS_POINTS: Final = 10_000  # the whole of an organisation, in shares of a hundredth of a percent

# What ids and codes look like, as regular expressions over the whole text.
NAME: Final = "[a-z0-9]+(-[a-z0-9]+)*"
RULE_NAME: Final = f"{NAME}/{NAME}"  # PROFILE/RULE; likewise PROFILE/WORD
TOPIC: Final = f"{NAME}(/{NAME})?"  # what an attestation is of


class Type(Enum):
    """What a field holds."""

    TEXT = auto()  # a text for people, or one of `Field.words`
    WORDS = auto()  # a list of such
    STATE = auto()  # the code of a state or territory, each a unit of its own: one of `states.codes()`
    STATES = auto()
    BOOLEAN = auto()
    INTEGER = auto()
    DATE = auto()
    MOMENT = auto()  # a date-time with offset
    REFERENCE = auto()  # the id of an entity of one of `Field.kinds`
    REFERENCES = auto()
    ELEMENTS = auto()  # a list of tables, each with `Field.fields`


@dataclass(frozen=True, slots=True)
class Field:
    """One fact that may be declared. What is left out is unknown; an empty list says that there is none.

    Where there are `words`, no others can be said, so that a slip is found; but a profile may have words of its own,
    written PROFILE/WORD. `least` and `most` bound a number, or how many a list has. `pattern` is a regular expression
    that a text must be, as a whole; `meaning` says the same to people.
    """

    name: str
    type: Type
    meaning: str
    kinds: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()
    least: int | None = None
    most: int | None = None
    pattern: str = ""

    def field(self, name: str) -> Field | None:
        """The field of this name of the elements of this list."""
        return next((each for each in self.fields if each.name == name), None)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of entities: `name`, as rules say it, and `plural`, as declarations do.

    `answering` are the fields that name who answers for it: what these sign about it is self-signed.
    """

    name: str
    plural: str
    meaning: str
    fields: tuple[Field, ...]
    responsible: tuple[str, ...] = ()

    def field(self, name: str) -> Field | None:
        """The field of this name."""
        return next((each for each in self.fields if each.name == name), None)


def _text(name: str, meaning: str, *words: str, pattern: str = "") -> Field:
    return Field(name, Type.TEXT, meaning, words=words, pattern=pattern)


def _words(name: str, meaning: str, *words: str) -> Field:
    return Field(name, Type.WORDS, meaning, words=words)


def _reference(name: str, meaning: str, *kinds: str) -> Field:
    return Field(name, Type.REFERENCE, meaning, kinds=kinds)


def _references(name: str, meaning: str, *kinds: str) -> Field:
    return Field(name, Type.REFERENCES, meaning, kinds=kinds)


def _state(meaning: str, name: str = "state") -> Field:
    return Field(name, Type.STATE, meaning)


def _states(name: str, meaning: str) -> Field:
    return Field(name, Type.STATES, meaning)


def _integer(name: str, meaning: str, most: int | None = None) -> Field:
    return Field(name, Type.INTEGER, meaning, least=0, most=most)


def _boolean(name: str, meaning: str) -> Field:
    return Field(name, Type.BOOLEAN, meaning)


def _moment(name: str, meaning: str) -> Field:
    return Field(name, Type.MOMENT, meaning)


def _elements(name: str, meaning: str, *fields: Field) -> Field:
    return Field(name, Type.ELEMENTS, meaning, fields=fields)


PARTS: Final = ("transmission", "control", "computing", "storage", "surveillance")
PURPOSES: Final = (
    "payment",
    "payment-processing",
    "fraud-detection",
    "analytics",
    "law-enforcement",
    "diplomatic",
    "support",
)
CLASSES: Final = (
    "payment",
    "personal",
    "sensitive-personal",
    "financial",
    "identifiers",
    "valuable-ip",
    "account",
    "diplomatic",
)
EVIDENCE: Final = ("origin", "audit", "incident", "court-decision", "technical-finding", "ownership")

_EQUIPMENT: Final = _elements(
    "equipment",
    "what is installed, by its part in the traffic",
    _reference("vendor", "who made it", ORGANISATION),
    _text("part", "what it does to the traffic", *PARTS),
    _text("model", "what its maker calls it"),
)
_ENDS: Final = Field("ends", Type.REFERENCES, "the two places that it joins", kinds=(FACILITY,), least=2, most=2)
_COST: Final = _integer("cost", "what a flow over it costs, in a unit that the network chooses; routes add it up")
_LATENCY: Final = _integer("latency_us", "how long a message takes over it, in microseconds")
_DECISIONS: Final = _elements(
    "decisions",
    "what authorities said of it",
    _text("by", "the authority"),
    _text("kind", "what it came to", "recommended-denial", "recommended-grant", "pending", "denied", "granted"),
    _text("conditions", "what was asked in return"),
)


def _place(name: str, meaning: str, *more: Field) -> Field:
    return _elements(name, meaning, _reference("at", "where", CLOUD, FACILITY), *more)


KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (
        Kind(
            ORGANISATION,
            "organisations",
            "a firm, an authority, a person that owns something",
            (
                _state("where it is incorporated or, of an authority, whose it is"),
                _words("identifiers", 'what lists call it, such as "lei:…" or a name as the list writes it'),
                _elements(
                    "owners",
                    "who holds its shares",
                    _reference("owner", "the holder", ORGANISATION),
                    _integer("share_bp", "its share, in basis points", BASIS_POINTS),
                ),
                _integer("dispersed_bp", "shares of holders too small to control, in basis points", BASIS_POINTS),
                _text(
                    "key",
                    "its Ed25519 public key, 64 hexadecimal digits: attestations that it signs are checked",
                    pattern="[0-9a-f]{64}",
                ),
            ),
        ),
        Kind(
            FACILITY,
            "facilities",
            "a place that data can be at or go through: a gateway, an exchange, a landing station, a data centre",
            (
                _state("where it stands"),
                _text("use", "what it is", "gateway", "exchange", "landing", "data-centre", "mission"),
                _reference("operator", "who runs it", ORGANISATION),
                _reference("owner", "whose it is", ORGANISATION),
                _EQUIPMENT,
            ),
            responsible=("operator", "owner"),
        ),
        Kind(
            SPAN,
            "spans",
            "a link between two places, other than by a submarine cable",
            (
                _ENDS,
                _reference("operator", "the carrier", ORGANISATION),
                _reference("owner", "whose it is", ORGANISATION),
                _EQUIPMENT,
                _COST,
                _LATENCY,
            ),
            responsible=("operator", "owner"),
        ),
        Kind(
            SEGMENT,
            "segments",
            "a segment of a submarine cable, between two landing stations",
            (
                _text("cable", "the cable that it is a part of"),
                _ENDS,
                _references("owners", "whose it is", ORGANISATION),
                _reference("operator", "who runs it", ORGANISATION),
                _reference("supplier", "who built and laid it", ORGANISATION),
                _references("landing_parties", "who lands it", ORGANISATION),
                _EQUIPMENT,
                _DECISIONS,
                _COST,
                _LATENCY,
            ),
            responsible=("operator", "owners"),
        ),
        Kind(
            CLOUD,
            "clouds",
            "a region of a cloud",
            (
                _state("where it stands"),
                _reference("facility", "the place at which it is reached", FACILITY),
                _reference("operator", "who runs it", ORGANISATION),
                _reference("operator_of_record", "who is answerable for it there", ORGANISATION),
                _reference("key_custody", "who holds the keys to what is stored", ORGANISATION),
                _references("accessible_to", "who else can read what is stored", ORGANISATION),
            ),
            responsible=("operator", "operator_of_record"),
        ),
        Kind(
            STORE,
            "stores",
            "where apps are offered",
            (
                _reference("operator", "who runs it", ORGANISATION),
                _states("serves", "where people can install from it"),
            ),
            responsible=("operator",),
        ),
        Kind(
            APP,
            "apps",
            "a program on people's devices",
            (
                _reference("publisher", "who publishes it", ORGANISATION),
                _references("stores", "where it is offered", STORE),
                _references("preinstalled_by", "makers that deliver it with their devices", ORGANISATION),
            ),
            responsible=("publisher",),
        ),
        Kind(
            PARTICIPANT,
            "participants",
            "who takes part in payments: a bank, an operator of wallets, a payment firm",
            (
                _reference("organisation", "who it is", ORGANISATION),
                _state("where it takes part"),
                _reference("gateway", "where its messages enter and leave the network", FACILITY),
                _text("bic", "its ISO 9362 code", pattern="[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?"),
                _references("apps", "the apps that it offers", APP),
                _states("operates_in", "where it does business"),
                _elements(
                    "licences",
                    "what allows it to",
                    _state("where it holds"),
                    _text("authority", "who gave it"),
                    _text("activity", "what for"),
                ),
                _elements(
                    "exclusions",
                    "whom it keeps out",
                    _reference("excludes", "who is kept out", ORGANISATION),
                    _text("basis", "why: of its own, or the rule that asks for it, as PROFILE/RULE", "own-decision"),
                    _words("evidence", "what it rests on", *EVIDENCE),
                ),
                _boolean("exit_terms", "its customers can leave with their data on stated terms"),
                _boolean("forced_upgrades", "it makes customers upgrade whether they will or not"),
                _integer("vulnerability_notice_days", "how soon it tells of a vulnerability, in days"),
                _states("storage_required_by", "states that ask it to store at home what arises abroad"),
            ),
            responsible=("organisation",),
        ),
        Kind(
            FLOW,
            "flows",
            "data that goes from one participant to another, or is kept by one",
            (
                _reference("from", "who sends", PARTICIPANT),
                _reference("to", "who receives", PARTICIPANT),
                _text("purpose", "what for", *PURPOSES),
                _boolean("incidental", "it is ordinarily part of and incidental to what it serves"),
                _words("classes", "what the data is", *CLASSES),
                _states("subject_states", "where those live whom the data is about"),
                _state("where the data arose", "origin"),
                _text("currency", "of the payment, by ISO 4217", pattern="[A-Z]{3}"),
                _integer("amount_minor", "of the payment, in minor units"),
                _boolean("cross_border", "the payment has a foreign leg, or the business needs to cross a border"),
                _integer("persons_12m", "persons whose data went between these parties in twelve months"),
                _place(
                    "stored",
                    "where it is kept",
                    _text("reason", "why there", "business", "law", "required-by-home"),
                    _boolean("copy", "a copy, while another is kept elsewhere"),
                    _integer("retention_days", "for how long"),
                    _moment("deleted_at", "when it was deleted there"),
                ),
                _place(
                    "processed",
                    "where it is worked on",
                    _moment("taken_at", "when it was brought there"),
                    _moment("returned_at", "when it was back"),
                    _moment("deleted_at", "when nothing of it was left there"),
                ),
                _elements(
                    "accessors",
                    "who can read it",
                    _reference("party", "who", ORGANISATION),
                    _state("where they read it"),
                    _elements(
                        "permissions",
                        "what allows it, by the states in which it is stored",
                        _state("whose permission it is"),
                        _text("name", "what it is called"),
                    ),
                    _text("channel", "the treaty or agreement that is used", "judicial-assistance", "agreement"),
                ),
                _elements(
                    "legal_bases",
                    "what makes it lawful",
                    _state("in which state"),
                    _text("basis", "what it is", "consent", "contract", "law", "adequacy", "standard-clauses"),
                ),
                _text("channel", "of data for law enforcement: the treaty or agreement that is used"),
                _references("via", "the spans and segments that it takes, in order", SPAN, SEGMENT),
            ),
            responsible=("from",),
        ),
    )
}
BY_PLURAL: Final[Mapping[str, Kind]] = {kind.plural: kind for kind in KINDS.values()}

# What a rule can be about. An edge is a span or a segment; levels on a path are judged for each flow that goes there.
LEVELS: Final[Mapping[str, tuple[str, ...]]] = {**{name: (name,) for name in KINDS}, "edge": (SPAN, SEGMENT)}
PATH_LEVELS: Final = (FACILITY, SPAN, SEGMENT, "edge")

# The tests of conditions: true, false, or unknown where a fact is missing.
ANY_IN: Final = "any-in"
ALL_IN: Final = "all-in"
NONE_IN: Final = "none-in"
ANY_LISTED: Final = "any-listed"
NONE_LISTED: Final = "none-listed"
DECLARED: Final = "declared"
IS_TRUE: Final = "is-true"
IS_FALSE: Final = "is-false"
AT_MOST: Final = "at-most"
AT_LEAST: Final = "at-least"
ATTESTED: Final = "attested"
RETURNED_IN_TIME: Final = "returned-in-time"
TESTS: Final[Mapping[str, str]] = {
    ANY_IN: "some value of the fact is in the set; over no values it is false",
    ALL_IN: "every value of the fact is in the set; over no values it is true",
    NONE_IN: "no value of the fact is in the set; over no values it is true",
    ANY_LISTED: "some organisation that the fact names, or one that controls it, stands on the list",
    NONE_LISTED: "no organisation that the fact names, and none that controls it, stands on the list",
    DECLARED: "the fact has a value; of a list, an element in force",
    IS_TRUE: "the fact is declared as true",
    IS_FALSE: "the fact is declared as false",
    AT_MOST: "the number is not above the limit",
    AT_LEAST: "the number is not below the limit",
    ATTESTED: "somebody vouches for the topic, at least so surely, and that has not expired",
    RETURNED_IN_TIME: "what was taken at `taken_at` was back, and deleted there, by the earlier of both limits: "
    "so many hours, and the end of so many business days after that day",
}
SETS: Final = (ANY_IN, ALL_IN, NONE_IN)
LISTED: Final = (ANY_LISTED, NONE_LISTED)
