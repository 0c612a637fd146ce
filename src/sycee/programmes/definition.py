"""Programme definition: a TOML file read into a frozen `Programme` and checked as a whole.

`load` reads a file, or a pilot shipped with the package. An impossible definition raises DocumentError with file, line,
key, the value found and a correct one: an unknown key, a sum that does not add up, dates in an impossible order, an
unknown zone or currency. Amounts are minor units, moments are nanoseconds since 1970-01-01T00:00Z. A window includes
`from_ns` and excludes `until_ns`. docs/reference/programme.md lists every key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from sycee import data
from sycee.core import documents, money
from sycee.core.documents import Table
from sycee.core.limits import COHORT_MEMBERS_MAX, I64_MAX
from sycee.core.money import Currency
from sycee.programmes import schedule as schedules
from sycee.programmes.schedule import Schedule

DRAW_RULES: Final = ("sycee.draw.v1",)
REPLAY_BEACON: Final = "sycee-replay"  # source name of a synthetic beacon, computed from the seed of a replay
IDENTITY_KEYS: Final = ("document", "phone")
MARKS: Final = ("1", "2", "assumed", "derived")  # read in one source, in two or more, chosen by us, computed by us
REST_RECEIVERS: Final = ("funder",)
REFUND_ORDERS: Final = ("own-money-first",)

# Rule text of Futian, January 2021: a registration is checked within 2 hours, and its code is entered within 6 hours.
CHECK_MINUTES: Final = 120
CODE_MINUTES: Final = 360
MINUTES_MAX: Final = 60 * 24 * 31

_SECOND_NS: Final = 10**9
_MINUTE_NS: Final = 60 * _SECOND_NS
_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a figure was read (site and page), and its support: one of MARKS."""

    source: str
    mark: str


@dataclass(frozen=True, slots=True)
class Source:
    """A page in which figures were read: the name that `Provenance.source` cites, and its web address."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Window:
    """Span of time from `from_ns` (included) to `until_ns` (excluded)."""

    from_ns: int
    until_ns: int

    def __contains__(self, moment_ns: int) -> bool:
        return self.from_ns <= moment_ns < self.until_ns


@dataclass(frozen=True, slots=True)
class Funder:
    """The party that pays for the programme."""

    name: str


@dataclass(frozen=True, slots=True)
class PacketClass:
    """`count` packets of `amount_minor` each. The first class goes to the first winners in packet order."""

    name: str
    count: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Stratum:
    """A part of the registrants with a separate draw, and its number of winners."""

    name: str
    winners: int


@dataclass(frozen=True, slots=True)
class RegistrationRules:
    """Deadlines of an entry, and the moment from which the data of persons without a packet is shredded."""

    check_ns: int  # from the registration to its check
    code_ns: int  # from the check to the code
    shred_at_ns: int


@dataclass(frozen=True, slots=True)
class DrawRule:
    """Version of the rule, strata, and the future round of a beacon that decides."""

    rule: str
    strata: tuple[Stratum, ...]
    beacon_source: str
    beacon_round: int
    beacon_due_ns: int

    @property
    def winners(self) -> int:
        """Number of winners in all strata."""
        return sum(stratum.winners for stratum in self.strata)


@dataclass(frozen=True, slots=True)
class MerchantGroup:
    """Payees that packet money may reach."""

    name: str
    count: int
    district: str


@dataclass(frozen=True, slots=True)
class Operator:
    """A bank whose wallets registrants may choose."""

    name: str
    title: str


@dataclass(frozen=True, slots=True)
class Rules:
    """Permissions of packet money, and the order in which a refund fills up."""

    divisible: bool
    own_money: bool
    person_to_person: bool
    cash_out: bool
    refund_order: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A published result: a count, or an amount in minor units."""

    value: int
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class Published:
    """Results of a real round by role; None for a result that was not published."""

    registered: Figure | None = None
    winners: Figure | None = None
    claimed: Figure | None = None
    payments: Figure | None = None
    merchants: Figure | None = None
    budget: Figure | None = None
    spent_from_packets: Figure | None = None
    spent_own: Figure | None = None
    returned: Figure | None = None


@dataclass(frozen=True, slots=True)
class Programme:
    """A programme as its file defines it. All parts are consistent with each other."""

    name: str
    title: str
    currency: Currency
    zone: ZoneInfo
    funder: Funder
    budget_minor: int
    packets: tuple[PacketClass, ...]
    registration: Window
    registration_rules: RegistrationRules
    identity: tuple[str, ...]
    draw: DrawRule
    claim: Window
    spending: Window
    expires_ns: int
    rest_to: str
    rules: Rules
    merchants: tuple[MerchantGroup, ...]
    operators: tuple[Operator, ...]
    published: Published
    sources: tuple[Source, ...]
    schedule: Schedule | None = None  # None: occurrence 0 alone

    def on(self, day: date) -> Programme:
        """Return the programme of the occurrence that begins on a local day: its moments are as many days later.

        The beacon's round is the first one that is due no earlier than its moved due time.
        """
        schedule = self.schedule
        if schedule is None or day == schedule.starts.date():
            return self

        def moved(window: Window) -> Window:
            return Window(schedule.moved_ns(window.from_ns, day), schedule.moved_ns(window.until_ns, day))

        due_ns, period_ns = self.draw.beacon_due_ns, schedule.beacon_period_s * _SECOND_NS
        rounds = -((due_ns - schedule.moved_ns(due_ns, day)) // period_ns)
        draw = replace(
            self.draw, beacon_round=self.draw.beacon_round + rounds, beacon_due_ns=due_ns + rounds * period_ns
        )
        shred_at_ns = schedule.moved_ns(self.registration_rules.shred_at_ns, day)
        return replace(
            self,
            registration=moved(self.registration),
            registration_rules=replace(self.registration_rules, shred_at_ns=shred_at_ns),
            draw=draw,
            claim=moved(self.claim),
            spending=moved(self.spending),
            expires_ns=schedule.moved_ns(self.expires_ns, day),
        )


def load(source: Path | str) -> Programme:
    """Load a programme from a file, or a shipped pilot by its name.

    A text that contains a slash or ends in `.toml` is a path. Raises DocumentError for an error in the file, UsageError
    for an unknown pilot.
    """
    return define(data.document("pilots", source, "programme"))


def define(table: Table) -> Programme:
    """Build a programme from its document. Raises DocumentError for an impossible one."""
    name = _name(table)
    currency, zone = table.currency("currency"), table.zone("zone")
    packets = tuple(_packet_class(each, currency) for each in table.tables("packets"))
    budget_minor = _budget(table.table("budget"), packets, currency)
    registration_table = table.table("registration")
    identity = registration_table.texts("identity", choices=IDENTITY_KEYS)
    check_ns = _minutes(registration_table, "check_minutes", CHECK_MINUTES)
    code_ns = _minutes(registration_table, "code_minutes", CODE_MINUTES)
    registration_table.offer("shred_at")
    registration = _window(registration_table, zone)
    phases = {key: table.table(key) for key in ("draw", "claim", "spending", "expiry")}
    draw = _draw(phases["draw"], packets, registration, registration_table, zone)
    claim, spending = _window(phases["claim"], zone), _window(phases["spending"], zone)
    expiry = phases["expiry"]
    expires_ns, rest_to = _finished(expiry, (expiry.moment("at", zone), expiry.choice("rest_to", REST_RECEIVERS)))
    _check_order(draw, claim, spending, expires_ns, phases, zone)
    shred_at_ns = _shred_at(registration_table, claim, expires_ns, phases["claim"], zone)
    merchants = tuple(_merchant_group(each) for each in table.tables("merchants"))
    operators = tuple(_operator(each) for each in table.tables("operators"))
    _check_names(table, "packets", [each.name for each in packets])
    _check_names(table, "merchants", [each.name for each in merchants])
    _check_names(table, "operators", [each.name for each in operators])
    published = Published()
    if "published" in table:
        published = _published(table.table("published"), budget_minor, draw.winners, merchants, currency)
    table.offer("sources")
    table.offer("schedule")
    schedule = None
    if "schedule" in table:
        schedule = schedules.read(
            table.table("schedule"),
            zone,
            begins_ns=registration.from_ns,
            claim_from_ns=claim.from_ns,
            expires_ns=expires_ns,
        )
    programme = Programme(
        name=name,
        title=table.text("title"),
        currency=currency,
        zone=zone,
        funder=_funder(table.table("funder")),
        budget_minor=budget_minor,
        packets=packets,
        registration=registration,
        registration_rules=RegistrationRules(check_ns, code_ns, shred_at_ns),
        identity=identity,
        draw=draw,
        claim=claim,
        spending=spending,
        expires_ns=expires_ns,
        rest_to=rest_to,
        rules=_rules(table.table("rules")),
        merchants=merchants,
        operators=operators,
        published=published,
        sources=tuple(_source(each) for each in table.tables("sources")) if "sources" in table else (),
        schedule=schedule,
    )
    table.finish()
    return programme


def _name(table: Table) -> str:
    """Return a name that a file's name or a column of a file can hold."""
    name = table.text("name")
    if not _NAME.fullmatch(name):
        raise table.error(
            "name",
            f"found {documents.found(name)}",
            right='small letters, digits and single hyphens, such as "luohu-2020"',
        )
    return name


def _finished(table: Table, value: _T) -> _T:
    """Return `value` after checking that the table has no unknown key, and a source with a mark or neither."""
    if "source" in table or "mark" in table:
        _provenance(table)
    table.finish()
    return value


def _provenance(table: Table) -> Provenance:
    return Provenance(table.text("source"), table.choice("mark", MARKS))


def _source(table: Table) -> Source:
    source = Source(table.text("name"), table.text("address"))
    if not source.address.startswith(("https://", "http://")):
        raise table.error("address", f"found {documents.found(source.address)}", right='an address, "https://…"')
    table.finish()
    return source


def _funder(table: Table) -> Funder:
    return _finished(table, Funder(table.text("name")))


def _packet_class(table: Table, currency: Currency) -> PacketClass:
    name = table.text("name")
    count = table.integer("count", least=1, most=COHORT_MEMBERS_MAX)
    return _finished(table, PacketClass(name, count, _positive(table, "amount", currency)))


def _budget(table: Table, packets: tuple[PacketClass, ...], currency: Currency) -> int:
    budget_minor = _positive(table, "amount", currency)
    total = sum(each.count * each.amount_minor for each in packets)
    if total > I64_MAX or total != budget_minor:
        terms = " + ".join(f"{each.count} x {money.format(each.amount_minor, currency)}" for each in packets)
        shown = money.format(budget_minor, currency)
        total_shown = money.format(total, currency) if total <= I64_MAX else f"more than {I64_MAX} minor units"
        raise table.error(
            "amount",
            f"the budget is {shown}, but the packets come to {terms} = {total_shown}",
            right=f'amount = "{total_shown}", or other packets' if total <= I64_MAX else "fewer or smaller packets",
        )
    return _finished(table, budget_minor)


def _minutes(table: Table, key: str, default: int) -> int:
    return table.integer(key, default, least=1, most=MINUTES_MAX) * _MINUTE_NS


def _shred_at(table: Table, claim: Window, expires_ns: int, claim_table: Table, zone: ZoneInfo) -> int:
    """Return when losers' data is shredded: at expiry unless the file names a moment after the first claim."""
    if "shred_at" not in table:
        return expires_ns
    shred_at_ns = table.moment("shred_at", zone)
    if shred_at_ns < claim.from_ns:
        raise table.error(
            "shred_at",
            f"shredding begins {documents.shown_moment(shred_at_ns, zone)}, before the first claim, "
            f"{documents.shown_moment(claim.from_ns, zone)} (line {claim_table.line('from')})",
            right="a moment no earlier than the first claim: until then a person without a packet may still get one",
        )
    return shred_at_ns


def _window(table: Table, zone: ZoneInfo) -> Window:
    from_ns, until_ns = table.moment("from", zone), table.moment("until", zone)
    if until_ns <= from_ns:
        start, end = documents.shown_moment(from_ns, zone), documents.shown_moment(until_ns, zone)
        raise table.error(
            "until",
            f"ends {end}, not after it starts, {start} (line {table.line('from')})",
            right="a moment after `from`",
        )
    return _finished(table, Window(from_ns, until_ns))


def _draw(
    table: Table, packets: tuple[PacketClass, ...], registration: Window, registration_table: Table, zone: ZoneInfo
) -> DrawRule:
    rule = table.choice("rule", DRAW_RULES)
    strata_tables = table.tables("strata")
    strata = tuple(
        _finished(each, Stratum(_name(each), each.integer("winners", least=1, most=COHORT_MEMBERS_MAX)))
        for each in strata_tables
    )
    _check_names(table, "strata", [each.name for each in strata])
    beacon = table.table("beacon")
    draw = DrawRule(
        rule=rule,
        strata=strata,
        beacon_source=beacon.text("source"),
        beacon_round=beacon.integer("round", least=0, most=I64_MAX),
        beacon_due_ns=beacon.moment("due", zone),
    )
    packet_count = sum(each.count for each in packets)
    if draw.winners != packet_count:
        terms = " + ".join(str(each.winners) for each in strata) + " = " if len(strata) > 1 else ""
        raise strata_tables[-1].error(
            "winners",
            f"the strata have {terms}{draw.winners} winners, but there are {packet_count} packets",
            right=f"{packet_count} winners in all strata together, one for each packet",
        )
    if draw.beacon_due_ns <= registration.until_ns:
        raise beacon.error(
            "due",
            f"the draw is {documents.shown_moment(draw.beacon_due_ns, zone)}, but registration closes "
            f"{documents.shown_moment(registration.until_ns, zone)} (line {registration_table.line('until')})",
            right="a moment after registration closes: the list is frozen before anyone can know the beacon",
        )
    beacon.finish()
    return _finished(table, draw)


def _check_order(
    draw: DrawRule, claim: Window, spending: Window, expires_ns: int, tables: dict[str, Table], zone: ZoneInfo
) -> None:
    """Raise DocumentError unless draw, claim, spending and expiry are in order."""
    due = ("the draw", draw.beacon_due_ns, tables["draw"].line("beacon"))
    first_claim = ("the first claim", claim.from_ns, tables["claim"].line("from"))
    expiry = ("expiry", expires_ns, tables["expiry"].line("at"))
    for where, key, moment_ns, side, (bound, bound_ns, bound_line) in (
        ("claim", "from", claim.from_ns, "before", due),
        ("spending", "from", spending.from_ns, "before", first_claim),
        ("claim", "until", claim.until_ns, "after", expiry),
        ("spending", "until", spending.until_ns, "after", expiry),
    ):
        if (moment_ns < bound_ns) if side == "before" else (moment_ns > bound_ns):
            verb = "starts" if key == "from" else "ends"
            shown, bound_shown = documents.shown_moment(moment_ns, zone), documents.shown_moment(bound_ns, zone)
            raise tables[where].error(
                key,
                f"{where} {verb} {shown}, {side} {bound}, {bound_shown} (line {bound_line})",
                right=f"a moment no {'earlier' if side == 'before' else 'later'} than {bound}",
            )


def _rules(table: Table) -> Rules:
    rules = Rules(
        divisible=table.boolean("divisible"),
        own_money=table.boolean("own_money"),
        person_to_person=table.boolean("person_to_person"),
        cash_out=table.boolean("cash_out"),
        refund_order=table.choice("refund_order", REFUND_ORDERS),
    )
    return _finished(table, rules)


def _merchant_group(table: Table) -> MerchantGroup:
    name, count = table.text("name"), table.integer("count", least=1, most=COHORT_MEMBERS_MAX)
    return _finished(table, MerchantGroup(name, count, table.text("district")))


def _operator(table: Table) -> Operator:
    return _finished(table, Operator(table.text("name"), table.text("title")))


def _check_names(table: Table, key: str, names: list[str]) -> None:
    for place, name in enumerate(names):
        if name in names[:place]:
            first = table.tables(key)[names.index(name)]
            raise table.tables(key)[place].error(
                "name",
                f"{documents.found(name)} is the name on line {first.line('name')} already",
                right=f"each name in {key} once",
            )


_COUNT_ROLES: Final = ("registered", "winners", "claimed", "payments", "merchants")
_MONEY_ROLES: Final = ("budget", "spent_from_packets", "spent_own", "returned")


def _published(
    table: Table, budget_minor: int, winners: int, merchants: tuple[MerchantGroup, ...], currency: Currency
) -> Published:
    figures: dict[str, Figure] = {}
    tables: dict[str, Table] = {}
    for role in (*_COUNT_ROLES, *_MONEY_ROLES):
        if role not in table:
            table.offer(role)
            continue
        tables[role] = each = table.table(role)
        is_money = role in _MONEY_ROLES
        value = each.money("value", currency) if is_money else each.integer("value", least=0, most=I64_MAX)
        figures[role] = Figure(value, _provenance(each))  # here, and only here, a source is required
        each.finish()
    table.finish()

    def check(role: str, expected: int, of: str) -> None:
        if role in figures and figures[role].value != expected:
            is_money = role in _MONEY_ROLES
            value = figures[role].value
            shown = money.format(value, currency) if is_money else str(value)
            right = money.format(expected, currency) if is_money else str(expected)
            written = f'"{right}"' if is_money else right
            raise tables[role].error("value", f"{shown} is not {of} = {right}", right=f"value = {written}")

    check("budget", budget_minor, "the sum of the packets")
    check("winners", winners, "the number of packets")
    check("merchants", sum(each.count for each in merchants), "the sum of the merchant groups")
    if "spent_from_packets" in figures:
        check("returned", budget_minor - figures["spent_from_packets"].value, "budget less spent_from_packets")
    for smaller, larger in (("winners", "registered"), ("claimed", "winners"), ("spent_from_packets", "budget")):
        if smaller in figures and larger in figures and figures[smaller].value > figures[larger].value:
            raise tables[smaller].error(
                "value",
                f"{smaller} is {figures[smaller].value}, but {larger} is only {figures[larger].value} "
                f"(line {tables[larger].line('value')})",
                right=f"at most the number of {larger}",
            )
    return Published(**figures)


def _positive(table: Table, key: str, currency: Currency) -> int:
    amount_minor = table.money(key, currency)
    if amount_minor <= 0:
        raise table.error(key, f"found {money.format(amount_minor, currency)}", right="an amount above zero")
    return amount_minor
