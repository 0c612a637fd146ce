"""The vocabulary of declarations and profiles: kinds of entities, their fields, and the tests of conditions.

Declarations are read according to these tables, paths in profiles are checked against them, and the JSON Schemas and
the reference pages are generated from them. They name kinds of things (an organisation, a cable segment, a flow), and
no country and no vendor: those are data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from typing import Any, Final, Self

ORGANISATION: Final = "organisation"
FACILITY: Final = "facility"
SPAN: Final = "span"
SEGMENT: Final = "segment"
CLOUD: Final = "cloud"
STORE: Final = "store"
APP: Final = "app"
PARTICIPANT: Final = "participant"
FLOW: Final = "flow"

BASIS_POINTS: Final = 10_000  # all shares of an organisation; one is a hundredth of a percent

# The form of ids and codes, as regular expressions for the whole text.
NAME: Final = "[a-z0-9]+(-[a-z0-9]+)*"
RULE_NAME: Final = f"{NAME}/{NAME}"  # PROFILE/RULE, and PROFILE/WORD
TOPIC: Final = f"{NAME}(/{NAME})?"  # of an attestation


class NamedEnum(IntEnum):
    """Base of enumerations whose members have a name in documents and reports, such as `third-party`."""

    __hash__ = int.__hash__  # that of Enum is a function of Python: findings and evidence are counted and compared

    @property
    def word(self) -> str:
        """The name of a member."""
        return self.name.lower().replace("_", "-")

    @classmethod
    def of(cls, word: str) -> Self:
        """Return the member with this name. Raise KeyError if there is none."""
        return cls.words()[word]

    @classmethod
    def words(cls) -> dict[str, Self]:
        """Return all members by their names."""
        return {each.word: each for each in cls}


class Type(Enum):
    """Type of a field's value."""

    TEXT = auto()  # free text, or one of `Field.words`
    CHOICE = auto()  # one of `Field.words`, which a profile cannot extend
    WORDS = auto()  # a list of these
    STATE = auto()  # a code of `territories.codes()`; a territory with its own code is separate from its state
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
    """One fact that can be declared.

    With `words`, only these are allowed, and words of a profile's own, written PROFILE/WORD. `least` and `most` bound a
    number or the length of a list. `pattern` is a regular expression for the whole text, which `meaning` explains.
    The other attributes are for keys of data classes (`document_fields`): `member` returns the member of an enumeration
    by its name; a day must be later than that of the field `start`.
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
    required: bool = False
    default: Any = None
    member: Callable[[str], NamedEnum] | None = None
    start: str = ""


@dataclass(frozen=True, slots=True)
class EntityKind:
    """One kind of entities: `name` in rules, `plural` in declarations.

    `responsible` are the fields that name the responsible organisations, whose attestations are self-signed.
    """

    name: str
    plural: str
    meaning: str
    fields: tuple[Field, ...]
    responsible: tuple[str, ...] = ()

    def field(self, name: str) -> Field | None:
        """Return the field of this name."""
        return next((each for each in self.fields if each.name == name), None)


def _fields_of(type: Type) -> Callable[..., Field]:
    """Return a constructor of fields of a type. Its words, kinds or inner fields follow the meaning."""
    part = {Type.ELEMENTS: "fields", Type.REFERENCE: "kinds", Type.REFERENCES: "kinds"}.get(type, "words")
    bounds: dict[str, Any] = {"least": 0} if type is Type.INTEGER else {}

    def make(name: str, meaning: str, *of: Any, **more: Any) -> Field:
        return Field(name, type, meaning, **{part: of, **bounds, **more})

    return make


_text, _words, _state, _states = map(_fields_of, (Type.TEXT, Type.WORDS, Type.STATE, Type.STATES))
_reference, _references, _elements = map(_fields_of, (Type.REFERENCE, Type.REFERENCES, Type.ELEMENTS))
_boolean, _moment, _integer = map(_fields_of, (Type.BOOLEAN, Type.MOMENT, Type.INTEGER))


def _kind(name: str, plural: str, meaning: str, *fields: Field, responsible: tuple[str, ...] = ()) -> EntityKind:
    return EntityKind(name, plural, meaning, fields, responsible)


PARTS: Final = ("transmission", "control", "computing", "storage", "surveillance")
PURPOSES: Final = (
    "payment", "payment-processing", "fraud-detection", "analytics", "law-enforcement", "diplomatic", "support",
)  # fmt: skip
CLASSES: Final = (
    "payment", "personal", "sensitive-personal", "financial", "identifiers", "valuable-ip", "account", "diplomatic",
    "health", "biometric", "genetic", "geolocation", "important",
)  # fmt: skip
IMPERSONAL: Final = ("valuable-ip",)  # classes of data that relates to no person
# Classes of data that is about somebody. Data of payments may be about firms alone.
OF_SOMEBODY: Final = (
    "personal", "sensitive-personal", "identifiers", "health", "biometric", "genetic", "geolocation",
)  # fmt: skip
EVIDENCE: Final = ("origin", "audit", "incident", "court-decision", "technical-finding", "ownership")

# A list may name the product instead of its maker.
PUBLISHER: Final = "publisher"
VENDOR: Final = "vendor"
MODEL: Final = "model"

_OPERATOR: Final = _reference("operator", "the organisation that operates it", ORGANISATION)
_OWNER: Final = _reference("owner", "the organisation that owns it", ORGANISATION)
_EQUIPMENT: Final = _elements(
    "equipment",
    "the installed equipment",
    _reference(VENDOR, "its maker", ORGANISATION),
    _text("part", "its function for the traffic", *PARTS),
    _text(MODEL, "the model, as its maker names it"),
)
_ENDS: Final = _references("ends", "the two places that it joins", FACILITY, least=2, most=2)
_COST: Final = _integer("cost", "the cost of a flow over it, in a unit of the network's choice; routes add costs up")
_LATENCY: Final = _integer("latency_us", "the time that a message takes over it, in microseconds")
_AT: Final = _reference("at", "the cloud or facility", CLOUD, FACILITY)
_DECISIONS: Final = _elements(
    "decisions",
    "decisions of authorities about it",
    _text("by", "the authority"),
    _text("kind", "the decision", "recommended-denial", "recommended-grant", "pending", "denied", "granted"),
    _text("conditions", "the conditions of the decision"),
)

KINDS: Final[Mapping[str, EntityKind]] = {
    kind.name: kind
    for kind in (
        _kind(
            ORGANISATION,
            "organisations",
            "a firm, an authority, a branch of a firm, or a natural person",
            _state("state", "the state under whose laws it is organised or, of an authority, its state"),
            _states("organised_in", "instead of `state`: all states under whose laws it is organised", least=2),
            _state("headquarters", "the state of its principal place of business"),
            _reference("branch_of", "of a branch: the organisation that it is a part of", ORGANISATION),
            _boolean("person", "it is a natural person"),
            _states("citizen_of", "of a person: the states of which it is a citizen or permanent resident"),
            _state("resides_in", "of a person: the state in which it primarily lives"),
            _references("works_for", "of a person: the organisations that employ it, also by contract", ORGANISATION),
            _words("identifiers", 'its names on lists, such as "lei:…" or a name as the list writes it'),
            _elements(
                "owners",
                "the holders of its shares",
                _reference("owner", "the holder", ORGANISATION),
                _integer("share_bp", "the share, in basis points", most=BASIS_POINTS),
            ),
            _references(
                "controllers",
                "who controls it other than by shares, such as by contract; an empty list: nobody",
                ORGANISATION,
            ),
            _text(
                "authority", "the kind of authority that it is", "judicial", "law-enforcement", "supervisory", "none"
            ),
            _integer("dispersed_bp", "shares of holders too small to control, in basis points", most=BASIS_POINTS),
            _text(
                "key",
                "its Ed25519 public key, 64 hexadecimal digits, for the attestations that it signs",
                pattern="[0-9a-f]{64}",
            ),
        ),
        _kind(
            FACILITY,
            "facilities",
            "a place that holds or forwards data: a gateway, an exchange, a landing station, a data centre",
            _state("state", "the state of its location"),
            _text("use", "the type of the place", "gateway", "exchange", "landing", "data-centre", "mission"),
            _OPERATOR,
            _OWNER,
            _EQUIPMENT,
            responsible=("operator", "owner"),
        ),
        _kind(
            SPAN,
            "spans",
            "a link between two places, other than by a submarine cable",
            _ENDS,
            _OPERATOR,
            _OWNER,
            _EQUIPMENT,
            _COST,
            _LATENCY,
            responsible=("operator", "owner"),
        ),
        _kind(
            SEGMENT,
            "segments",
            "a segment of a submarine cable, between two landing stations",
            _text("cable", "the cable that it is a part of"),
            _ENDS,
            _references("owners", "the organisations that own it", ORGANISATION),
            _OPERATOR,
            _reference("supplier", "the organisation that built and laid it", ORGANISATION),
            _references("landing_parties", "the organisations that land it", ORGANISATION),
            _EQUIPMENT,
            _DECISIONS,
            _COST,
            _LATENCY,
            responsible=("operator", "owners"),
        ),
        _kind(
            CLOUD,
            "clouds",
            "a region of a cloud",
            _state("state", "the state of its location"),
            _reference("facility", "the place of its machines, at which it is reached", FACILITY),
            _OPERATOR,
            _reference("operator_of_record", "the organisation that is legally responsible for it", ORGANISATION),
            _reference("key_custody", "the organisation that holds the keys to stored data", ORGANISATION),
            _references("accessible_to", "other organisations that can read stored data", ORGANISATION),
            responsible=("operator", "operator_of_record"),
        ),
        _kind(
            STORE,
            "stores",
            "a store of apps",
            _OPERATOR,
            _states("serves", "the states in which people can install from it"),
            responsible=("operator",),
        ),
        _kind(
            APP,
            "apps",
            "a program on people's devices",
            _reference(PUBLISHER, "the organisation that publishes it", ORGANISATION),
            _references("stores", "the stores that offer it", STORE),
            _references("preinstalled_by", "makers that deliver it with their devices", ORGANISATION),
            responsible=("publisher",),
        ),
        _kind(
            PARTICIPANT,
            "participants",
            "a participant in payments: a bank, an operator of wallets, a payment firm",
            _reference("organisation", "the organisation that it is", ORGANISATION),
            _state("state", "the state in which it participates"),
            _reference("gateway", "the place at which its messages enter and leave the network", FACILITY),
            _text("bic", "its ISO 9362 code", pattern="[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?"),
            _references("apps", "the apps that it offers", APP),
            _states("operates_in", "the states in which it does business"),
            _elements(
                "licences",
                "its licences",
                _state("state", "the state in which the licence is valid"),
                _text("authority", "the authority that granted it"),
                _text("activity", "the licensed activity"),
            ),
            _elements(
                "exclusions",
                "the organisations that it excludes",
                _reference("excludes", "the excluded organisation", ORGANISATION),
                _text(
                    "basis",
                    "the reason: a decision of its own, or a rule that requires it, PROFILE/RULE",
                    "own-decision",
                ),
                _words("evidence", "the evidence for the exclusion", *EVIDENCE),
            ),
            _states("critical_in", "states whose authorities named it as an operator of critical infrastructure"),
            _integer("persons_handled", "persons whose personal data it handles"),
            _integer(
                "persons_sent_abroad",
                "persons whose personal data, other than sensitive, it sent abroad, as the law in force counts them",
            ),
            _integer("sensitive_persons_sent_abroad", "the same for sensitive personal data"),
            _boolean("exit_terms", "its customers can leave with their data on stated terms"),
            _boolean("forced_upgrades", "it forces its customers to upgrade"),
            _integer("vulnerability_notice_days", "the time until it reports a vulnerability, in days"),
            _states("storage_required_by", "states that require it to store at home what arises abroad"),
            responsible=("organisation",),
        ),
        _kind(
            FLOW,
            "flows",
            "data that goes from one participant to another, or that one participant stores",
            _reference("from", "the sender", PARTICIPANT),
            _reference("to", "the receiver", PARTICIPANT),
            _text("purpose", "the purpose", *PURPOSES),
            _boolean("incidental", "it is ordinarily part of and incidental to what it serves"),
            _boolean("sold", "it is sold, licensed or given for something of value"),
            _words("classes", "the classes of data", *CLASSES),
            _boolean("combined", "its data is one set with, or is linked to, data of other flows between its parties"),
            _states("subject_states", "the states of residence of the persons that the data is about"),
            _state("origin", "the state in which the data arose"),
            _text("currency", "the currency of the payment, by ISO 4217", pattern="[A-Z]{3}"),
            _integer("amount_minor", "the amount of the payment, in minor units"),
            _boolean("cross_border", "the payment has a foreign leg, or its business must cross a border"),
            _integer("persons_12m", "persons whose data went between these parties in twelve months"),
            _elements(
                "stored",
                "the places where it is stored",
                _AT,
                _text("reason", "the reason for the place", "business", "law", "required-by-home"),
                _boolean("copy", "a copy, while another is stored elsewhere"),
                _integer("retention_days", "the time for which it is stored, in days"),
                _moment("deleted_at", "the moment of its deletion there"),
            ),
            _elements(
                "processed",
                "the places where it is processed",
                _AT,
                _moment("taken_at", "the moment when it arrived there"),
                _moment("returned_at", "the moment when it was returned"),
                _moment("deleted_at", "the moment when all of it was deleted there"),
            ),
            _elements(
                "accessors",
                "the organisations that can read it",
                _reference("party", "the organisation", ORGANISATION),
                _state("state", "the state from which it reads"),
                _elements(
                    "permissions",
                    "the permissions for the access, by the states in which the data is stored",
                    _state("state", "the state that gave the permission"),
                    _text("name", "the name of the permission"),
                ),
                _text("channel", "the treaty or agreement that is used", "judicial-assistance", "agreement"),
            ),
            _elements(
                "legal_bases",
                "the legal bases of the flow",
                _state("state", "the state whose law applies"),
                _text("basis", "the basis", "consent", "contract", "law", "adequacy", "standard-clauses"),
            ),
            _text("channel", "for data for law enforcement: the treaty or agreement that is used"),
            _elements(
                "requests",
                "the requests of authorities that the flow answers",
                _state("state", "the state of the authority"),
                _text("body", "the kind of authority", "judicial", "law-enforcement", "supervisory"),
            ),
            _references("via", "the spans and segments of its path, in order", SPAN, SEGMENT),
            responsible=("from",),
        ),
    )
}


PAYMENT: Final = "payment"


@dataclass(frozen=True, slots=True)
class Claim:
    """A value of a flow's field that counts in the flow's favour only if another field supports it.

    Without support it is unknown. A claim that `binds` under some regimes is unknown only where it exempts.

    `values` are the claiming values, or none for the empty list. The support is declared, and its values meet `any_of`
    (at least one is in it) or `none_of` (none is). A number of `denied_by` above 0 denies the claim.
    """

    name: str
    field: str
    values: tuple[str, ...]
    support: str
    problem: str
    any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()
    binds: bool = False
    denied_by: str = ""

    def is_denied(self, number: Any) -> bool:
        """Return whether the number of `denied_by`, None if it is undeclared, denies the claim."""
        return isinstance(number, int) and number > 0

    def is_made(self, value: Any) -> bool:
        """Return whether a value of the field makes the claim."""
        return value in self.values if self.values else value == ()

    def is_supported(self, value: Any) -> bool:
        """Return whether a value of the other field supports it; None is an undeclared one."""
        if value is None:
            return False
        words = set(value) if isinstance(value, tuple) else {value}
        return not words.isdisjoint(self.any_of) if self.any_of else words.isdisjoint(self.none_of)


# A flow may claim an exemption only as far as its other facts allow: a missing fact never makes a claim better.
CLAIMS: Final = (
    Claim(
        "payment-class",
        "purpose",
        (PAYMENT, "payment-processing"),
        "classes",
        "has a purpose of payments, and none of its classes is data of payments",
        any_of=("payment", "financial", "account"),
        binds=True,
    ),
    Claim(
        "nobody",
        "subject_states",
        (),
        "classes",
        "has data about persons, and declares that it is about nobody",
        none_of=OF_SOMEBODY,
        denied_by="persons_12m",
    ),
)

# Who can read what is kept at a cloud, besides its operator. A flow that is kept there names them as accessors.
ACCESSORS: Final = "accessors"
READERS: Final = ("accessible_to", "key_custody")

# A flow for law enforcement, or to one of these authorities, names the request that it answers.
REQUESTS: Final = "requests"
LAW_ENFORCEMENT: Final = "law-enforcement"
REQUESTING: Final = ("judicial", LAW_ENFORCEMENT)

# Lists of a flow that may omit what others of its fields show.
SHOWN_BY: Final[Mapping[str, tuple[str, ...]]] = {ACCESSORS: ("stored", "processed"), REQUESTS: ("purpose",)}

# Facts of an organisation that exclude others: a branch is a part of its parent, and a person has no owners. If both
# could be declared, the expiry of one would change the meaning of the other.
_OF_FIRMS: Final = ("state", "organised_in", "headquarters", "owners", "dispersed_bp", "controllers")
OF_PERSONS: Final = ("citizen_of", "resides_in", "works_for")
EXCLUDED: Final[Mapping[str, tuple[str, ...]]] = {
    "organised_in": ("state",),
    "branch_of": (*_OF_FIRMS, *OF_PERSONS),
    **dict.fromkeys(("person", *OF_PERSONS), (*_OF_FIRMS, "branch_of")),
}

# Levels of rules. An edge is a span or a segment; rules on `PATH_LEVELS` are judged for each flow that passes.
LEVELS: Final[Mapping[str, tuple[str, ...]]] = {**{name: (name,) for name in KINDS}, "edge": (SPAN, SEGMENT)}
PATH_LEVELS: Final = (FACILITY, SPAN, SEGMENT, "edge")

# Tests of conditions: true, false, or unknown where a fact is missing.
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
SUM_AT_MOST: Final = "sum-at-most"
ATTESTED: Final = "attested"
RETURNED_IN_TIME: Final = "returned-in-time"
CONTROLLED_BY: Final = "controlled-by"
TESTS: Final[Mapping[str, str]] = {
    ANY_IN: "at least one value of the fact is in the set; false without values",
    ALL_IN: "every value of the fact is in the set; true without values",
    NONE_IN: "no value of the fact is in the set; true without values",
    ANY_LISTED: "the list covers an organisation that the fact names, directly or through a controller",
    NONE_LISTED: "the list covers no organisation that the fact names, neither directly nor through a controller",
    DECLARED: "the fact has a value; for a list, an element in force",
    IS_TRUE: "the fact is declared as true",
    IS_FALSE: "the fact is declared as false",
    AT_MOST: "the number is at most the limit",
    AT_LEAST: "the number is at least the limit",
    SUM_AT_MOST: "the sum of the number, over this flow and all flows between the same two organisations in either "
    "direction that meet all of `among`, is at most the limit; with `through`, flows of one sender in which one "
    "party of these takes part count together as well",
    ATTESTED: "an attestation of the topic is in force, with at least this assurance",
    RETURNED_IN_TIME: "data taken at `taken_at` was returned, and deleted there, by the earlier of both limits: "
    "a number of hours, and the end of a number of business days after that day",
    CONTROLLED_BY: "a party that the fact names is of one of the states, or parties of them control it: by shares, as "
    "the organisation that it is a branch of, or as its employer",
}
SETS: Final = (ANY_IN, ALL_IN, NONE_IN)
LISTED: Final = (ANY_LISTED, NONE_LISTED)

# How a party is of a state, and how shares count through chains of holders (arguments of `controlled-by`).
ORGANISED: Final = "organised"
HEADQUARTERS: Final = "headquarters"
RESIDENT: Final = "resident"
CITIZEN: Final = "citizen"
EMPLOYED: Final = "employed"
TIES: Final = (ORGANISED, HEADQUARTERS, RESIDENT, CITIZEN, EMPLOYED)
USUAL_TIES: Final = (ORGANISED, HEADQUARTERS, RESIDENT, EMPLOYED)
ATTRIBUTE: Final = "attribute"
MULTIPLY: Final = "multiply"
CHAINS: Final = (ATTRIBUTE, MULTIPLY)
