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
from typing import Final
from zoneinfo import ZoneInfo

from sycee import data
from sycee.core import documents, money
from sycee.core.documents import Table
from sycee.core.limits import COHORT_MEMBERS_MAX, I64_MAX
from sycee.core.money import Currency
from sycee.programmes import merchant_groups, published_results
from sycee.programmes import schedule as schedules
from sycee.programmes.file_values import finished, limit, positive
from sycee.programmes.merchant_groups import MerchantGroup
from sycee.programmes.published_results import Published
from sycee.programmes.schedule import Schedule
from sycee.programmes.zones import Zone
from sycee.programmes.zones import read as read_zones

DRAW_RULE: Final = "sycee.draw.v1"
ALL_RULE: Final = "sycee.all.v1"  # every entry of the list gets a packet: nothing is drawn, and there is no beacon

LOTTERY: Final = "lottery"
FIRST_COME: Final = "first-come"
EQUAL: Final = "equal"
RANDOM_SPLIT: Final = "random-split"
LIST: Final = "list"
MODES: Final = (LOTTERY, FIRST_COME, EQUAL, RANDOM_SPLIT, LIST)
DRAWN_MODES: Final = (LOTTERY, RANDOM_SPLIT)
SHARED_MODES: Final = (EQUAL, RANDOM_SPLIT)  # the budget is divided, and the file has no packets
EVERYBODY: Final = "everybody"  # the one stratum of an equal programme
STRATA_MAX: Final = 256  # a stratum is one byte in memory
SPLIT_STEPS_MAX: Final = 4_000  # different amounts of a random split, about: each is one DROP

REPLAY_BEACON: Final = "sycee-replay"  # source name of a synthetic beacon, computed from the seed of a replay
IDENTITY_KEYS: Final = ("document", "phone")
REST_RECEIVERS: Final = ("funder",)
REFUND_ORDERS: Final = ("own-money-first",)

# Rule text of Futian, January 2021: a registration is checked within 2 hours, and its code is entered within 6 hours.
CHECK_MINUTES: Final = 120
CODE_MINUTES: Final = 360
MINUTES_MAX: Final = 60 * 24 * 31
DOCUMENT_CHARACTERS_MAX: Final = 20  # digits of the greatest document, 2^64 - 1

_SECOND_NS: Final = 10**9
_MINUTE_NS: Final = 60 * _SECOND_NS
_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


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
class Split:
    """How a budget is divided by chance: each winner gets `least_minor` and some steps of `step_minor`."""

    least_minor: int
    step_minor: int


@dataclass(frozen=True, slots=True)
class RegistrationRules:
    """Deadlines of an entry, the moment from which the data of persons without a packet is shredded, and the document.

    `document_characters`: how many of the first characters of a document are its number; 0 for all.
    `excludes_holders_of`: programmes whose packets exclude a person, such as those of an earlier, smaller zone.
    """

    check_ns: int  # from the registration to its check
    code_ns: int  # from the check to the code
    shred_at_ns: int
    document_characters: int = 0
    excludes_holders_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DrawRule:
    """Version of the rule, strata, and the future round of a beacon that decides; "" and 0 under ALL_RULE."""

    rule: str
    strata: tuple[Stratum, ...]
    beacon_source: str = ""
    beacon_round: int = 0
    beacon_due_ns: int = 0

    @property
    def is_drawn(self) -> bool:
        """Whether a beacon decides who gets a packet."""
        return self.rule == DRAW_RULE

    @property
    def winners(self) -> int:
        """Number of winners in all strata."""
        return sum(stratum.winners for stratum in self.strata)


@dataclass(frozen=True, slots=True)
class Operator:
    """A bank whose wallets registrants may choose."""

    name: str
    title: str


@dataclass(frozen=True, slots=True)
class Rules:
    """Permissions of packet money, and the order in which a refund fills up.

    per_payment_max_minor: the most that one payment debits from a packet. payment_min_minor: the least payment, packet
    and own money together, that a packet helps to pay. 0: no limit.
    """

    divisible: bool
    own_money: bool
    person_to_person: bool
    cash_out: bool
    refund_order: str
    per_payment_max_minor: int = 0
    payment_min_minor: int = 0


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
    mode: str = LOTTERY
    split: Split | None = None  # of a random split
    zones: tuple[Zone, ...] = ()  # dropped one after the other; (): all at once

    def on(self, day: date) -> Programme:
        """Return the programme of the occurrence that begins on a local day: its moments are later by the days between.

        The beacon's round is the first one that is due no earlier than its moved due time.
        """
        schedule = self.schedule
        if schedule is None or day == schedule.starts.date():
            return self

        def moved(window: Window) -> Window:
            return Window(schedule.moved_ns(window.from_ns, day), schedule.moved_ns(window.until_ns, day))

        draw = self.draw
        if draw.is_drawn:
            due_ns, period_ns = draw.beacon_due_ns, schedule.beacon_period_s * _SECOND_NS
            rounds = -((due_ns - schedule.moved_ns(due_ns, day)) // period_ns)
            draw = replace(draw, beacon_round=draw.beacon_round + rounds, beacon_due_ns=due_ns + rounds * period_ns)
        shred_at_ns = schedule.moved_ns(self.registration_rules.shred_at_ns, day)
        return replace(
            self,
            registration=moved(self.registration),
            registration_rules=replace(self.registration_rules, shred_at_ns=shred_at_ns),
            draw=draw,
            claim=moved(self.claim),
            spending=moved(self.spending),
            expires_ns=schedule.moved_ns(self.expires_ns, day),
            zones=tuple(
                each if each.from_ns is None else replace(each, from_ns=schedule.moved_ns(each.from_ns, day))
                for each in self.zones
            ),
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
    mode = table.choice("mode", MODES, LOTTERY)
    _check_tables(table, mode)
    packets: tuple[PacketClass, ...] = ()
    if mode in SHARED_MODES:
        budget_table = table.table("budget")
        budget_minor = finished(budget_table, positive(budget_table, "amount", currency))
    else:
        packets = tuple(_packet_class(each, currency) for each in table.tables("packets"))
        budget_minor = _budget(table.table("budget"), packets, currency)
    registration_table = table.table("registration")
    identity = registration_table.texts("identity", choices=IDENTITY_KEYS)
    check_ns = _minutes(registration_table, "check_minutes", CHECK_MINUTES)
    code_ns = _minutes(registration_table, "code_minutes", CODE_MINUTES)
    document_characters = registration_table.integer("document_characters", 0, least=1, most=DOCUMENT_CHARACTERS_MAX)
    excludes = registration_table.texts("excludes_holders_of", default=(), empty=True)
    registration_table.offer("shred_at")
    registration = _window(registration_table, zone)
    phases = {key: table.table(key) for key in ("claim", "spending", "expiry")}
    if mode in DRAWN_MODES:
        phases["draw"] = table.table("draw")
        draw = _draw(phases["draw"], packets, registration, registration_table, zone)
        first_claim = ("the draw", draw.beacon_due_ns, phases["draw"].line("beacon"))
    else:
        draw = DrawRule(ALL_RULE, _strata_of_packets(table, packets))
        first_claim = ("the end of registration", registration.until_ns, registration_table.line("until"))
    split = _split(table.table("split"), budget_minor, draw.winners, currency) if mode == RANDOM_SPLIT else None
    claim, spending = _window(phases["claim"], zone), _window(phases["spending"], zone)
    expiry = phases["expiry"]
    expires_ns, rest_to = finished(expiry, (expiry.moment("at", zone), expiry.choice("rest_to", REST_RECEIVERS)))
    _check_order(first_claim, claim, spending, expires_ns, phases, zone)
    zones: tuple[Zone, ...] = ()
    table.offer("zones")
    if "zones" in table:
        if mode != LOTTERY:
            raise table.error("zones", f'a programme of the mode "{mode}" has no zones', right="the mode lottery")
        strata = {each.name: each.winners for each in draw.strata}
        classes = {each.name: each.count for each in packets}
        zones = read_zones(table.tables("zones"), strata, classes, expires_ns=expires_ns, zone=zone)
    shred_at_ns = _shred_at(registration_table, claim, expires_ns, phases["claim"], zone)
    merchants = tuple(merchant_groups.read(each, currency) for each in table.tables("merchants"))
    operators = tuple(_operator(each) for each in table.tables("operators"))
    _check_names(table, "packets", [each.name for each in packets])
    _check_names(table, "merchants", [each.name for each in merchants])
    _check_names(table, "operators", [each.name for each in operators])
    published = Published()
    if "published" in table:
        shops = sum(each.count for each in merchants)
        published = published_results.read(table.table("published"), budget_minor, draw.winners, shops, currency)
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
        registration_rules=RegistrationRules(check_ns, code_ns, shred_at_ns, document_characters, excludes),
        identity=identity,
        draw=draw,
        claim=claim,
        spending=spending,
        expires_ns=expires_ns,
        rest_to=rest_to,
        rules=_rules(table.table("rules"), packets, currency),
        merchants=merchants,
        operators=operators,
        published=published,
        sources=tuple(_source(each) for each in table.tables("sources")) if "sources" in table else (),
        schedule=schedule,
        mode=mode,
        split=split,
        zones=zones,
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


def _source(table: Table) -> Source:
    source = Source(table.text("name"), table.text("address"))
    if not source.address.startswith(("https://", "http://")):
        raise table.error("address", f"found {documents.found(source.address)}", right='an address, "https://…"')
    table.finish()
    return source


def _funder(table: Table) -> Funder:
    return finished(table, Funder(table.text("name")))


def _packet_class(table: Table, currency: Currency) -> PacketClass:
    name = table.text("name")
    count = table.integer("count", least=1, most=COHORT_MEMBERS_MAX)
    return finished(table, PacketClass(name, count, positive(table, "amount", currency)))


def _budget(table: Table, packets: tuple[PacketClass, ...], currency: Currency) -> int:
    budget_minor = positive(table, "amount", currency)
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
    return finished(table, budget_minor)


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
    return finished(table, Window(from_ns, until_ns))


def _draw(
    table: Table, packets: tuple[PacketClass, ...], registration: Window, registration_table: Table, zone: ZoneInfo
) -> DrawRule:
    rule = table.choice("rule", (DRAW_RULE,))
    strata_tables = table.tables("strata")
    strata = tuple(
        finished(each, Stratum(_name(each), each.integer("winners", least=1, most=COHORT_MEMBERS_MAX)))
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
    if packets and draw.winners != packet_count:
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
    return finished(table, draw)


def _check_tables(table: Table, mode: str) -> None:
    """Raise DocumentError for a table that the mode does not have."""
    for key, modes in (("draw", DRAWN_MODES), ("packets", set(MODES) - set(SHARED_MODES)), ("split", (RANDOM_SPLIT,))):
        if key in table and mode not in modes:
            raise table.error(
                key, f'a programme of the mode "{mode}" has no [{key}]', right="another mode, or no such table"
            )
        table.offer(key)


def _strata_of_packets(table: Table, packets: tuple[PacketClass, ...]) -> tuple[Stratum, ...]:
    """Return the strata of a list that is not drawn: one for each packet class, or one for an equal division."""
    for place, each in enumerate(packets):
        if not _NAME.fullmatch(each.name):
            raise table.tables("packets")[place].error(
                "name",
                f"found {documents.found(each.name)}, which the published list has as the name of a part",
                right="small letters, digits and single hyphens",
            )
    if len(packets) > STRATA_MAX:
        raise table.error("packets", f"{len(packets)} packet classes", right=f"at most {STRATA_MAX} different packets")
    return tuple(Stratum(each.name, each.count) for each in packets) or (Stratum(EVERYBODY, COHORT_MEMBERS_MAX),)


def _split(table: Table, budget_minor: int, winners: int, currency: Currency) -> Split:
    made = Split(positive(table, "least", currency), positive(table, "step", currency))
    rest_minor = budget_minor - made.least_minor * winners

    def shown(minor: int) -> str:
        return money.format(minor, currency)

    if rest_minor < 0:
        raise table.error(
            "least",
            f"{winners} winners with {shown(made.least_minor)} each need more than the budget, {shown(budget_minor)}",
            right=f"at most {shown(budget_minor // winners)}",
        )
    if budget_minor % made.step_minor or made.least_minor % made.step_minor:
        raise table.error(
            "step", f"the budget or the least amount is no multiple of {shown(made.step_minor)}",
            right="a step that divides both, so that amounts add up to the budget",
        )  # fmt: skip
    # Chance gives a winner up to about twice the mean, and every different amount is one DROP.
    steps = min(2 * rest_minor // winners // made.step_minor, winners)
    if steps > SPLIT_STEPS_MAX:
        raise table.error(
            "step",
            f"{shown(made.step_minor)} leads to about {steps} different amounts",
            right=f"a larger step, for at most about {SPLIT_STEPS_MAX} different amounts",
        )
    return finished(table, made)


def _check_order(
    due: tuple[str, int, int], claim: Window, spending: Window, expires_ns: int, tables: dict[str, Table],
    zone: ZoneInfo,
) -> None:  # fmt: skip
    """Raise DocumentError unless draw, claim, spending and expiry are in order.

    `due`: name, moment and line of what must be over before the first claim.
    """
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


def _rules(table: Table, packets: tuple[PacketClass, ...], currency: Currency) -> Rules:
    rules = Rules(
        divisible=table.boolean("divisible"),
        own_money=table.boolean("own_money"),
        person_to_person=table.boolean("person_to_person"),
        cash_out=table.boolean("cash_out"),
        refund_order=table.choice("refund_order", REFUND_ORDERS),
        per_payment_max_minor=limit(table, "per_payment_max", currency),
        payment_min_minor=limit(table, "payment_min", currency),
    )
    # Without own money a packet pays alone, so a payment is at most what one packet may give to it.
    largest = min((each for each in (_largest(packets), rules.per_payment_max_minor) if each), default=0)
    if not rules.own_money and largest and rules.payment_min_minor > largest:
        raise table.error(
            "payment_min",
            f"a packet gives at most {money.format(largest, currency)} to one payment, and own_money is false",
            right=f"at most {money.format(largest, currency)}, or own_money = true",
        )
    return finished(table, rules)


def _largest(packets: tuple[PacketClass, ...]) -> int:
    """Return the largest amount of a packet, 0 if the file does not state amounts."""
    return max((each.amount_minor for each in packets), default=0)


def _operator(table: Table) -> Operator:
    return finished(table, Operator(table.text("name"), table.text("title")))


def _check_names(table: Table, key: str, names: list[str]) -> None:
    for place, name in enumerate(names):
        if name in names[:place]:
            first = table.tables(key)[names.index(name)]
            raise table.tables(key)[place].error(
                "name",
                f"{documents.found(name)} is the name on line {first.line('name')} already",
                right=f"each name in {key} once",
            )
