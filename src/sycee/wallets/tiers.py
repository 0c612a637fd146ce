"""Wallet tiers, read from a TOML file and written as rule sets.

A preset is the tiers of one scheme at one date: for each class of wallets what must be shown to have one, what it may
hold, and what it may give at a time, a day, a month and a year. `load` turns a file, or the name of a preset shipped
with the package, into a frozen `Preset`; what cannot be is an error with file, line, key, the value found and what
would be right. `tier_records` makes of it what the ledger enforces: one DEFINE_RULE_SET for each class. Amounts are
minor units of the preset's currency, and 0 means that there is no limit. docs/reference/wallets.md documents every key.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np

from sycee import data
from sycee.core import documents, money
from sycee.core.arrays import Array
from sycee.core.documents import DocumentError, Table
from sycee.core.errors import UsageError
from sycee.core.ids import to_int
from sycee.core.limits import RULE_SETS_MAX
from sycee.core.money import Currency
from sycee.ledger import operations
from sycee.ledger.layout import RuleFlag

HOLDERS: Final = ("person", "merchant")
MARKS: Final = ("1", "2", "assumed")  # read in one source, in two or more, chosen by us
SPENDING_LIMITS: Final = ("single", "day", "month", "year")  # from the shortest period to the longest
LIMITS: Final = ("balance", *SPENDING_LIMITS)
PROPOSED_RANGE: Final = ("asked_from", "asked_until")
REFUND_DAYS_MAX: Final = 49_710  # a rule set keeps its refund window as 32 bits of seconds
SECONDS_PER_DAY: Final = 86_400

_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_AS_OF: Final = re.compile(r"\d{4}-\d\d(-\d\d)?")


@dataclass(frozen=True, slots=True)
class Tier:
    """One class of wallets. Maxima and reserve are in minor units, and 0 means none.

    `unlimited` names the limits that were said not to exist (of the others that are 0, nothing was said), `unverified`
    the figures that no source bears out. `asked_minor` is the range of balances under discussion, where there is one.
    What exceeds `balance_max_minor` goes on to the bank with `waterfall`; with `sweep` all that is there does, from
    time to time; with `reverse_waterfall` what is short for a payment comes from the bank. The ledger does the first
    for an account that is linked; the other two are SENDs that a service submits.
    """

    name: str
    holder: str  # one of HOLDERS
    identity: str  # what must be shown to have it; "" where nothing was said
    balance_max_minor: int
    single_max_minor: int
    day_max_minor: int
    month_max_minor: int
    year_max_minor: int
    unlimited: tuple[str, ...]
    unverified: tuple[str, ...]
    asked_minor: tuple[int, int] | None
    refund_reserve_minor: int
    refund_window_s: int
    person_to_person: bool
    cash_out: bool
    waterfall: bool
    reverse_waterfall: bool
    sweep: bool
    source: str
    mark: str

    def maximum_minor(self, limit: str) -> int:
        """The maximum called `limit` (one of LIMITS) in minor units; 0 for none."""
        return int(getattr(self, f"{limit}_max_minor"))


@dataclass(frozen=True, slots=True)
class Preset:
    """The tiers of one scheme as they stood at `as_of` (a day or a month). `undecided`: they are proposals."""

    name: str
    title: str
    currency: Currency
    as_of: str
    undecided: bool
    tiers: tuple[Tier, ...]

    def tier(self, name: str) -> Tier:
        """The class called `name`. UsageError if there is none."""
        for each in self.tiers:
            if each.name == name:
                return each
        shown = ", ".join(each.name for each in self.tiers)
        raise UsageError(f'{self.name} has no class "{name}"', hint=f"its classes: {shown}")


def names() -> tuple[str, ...]:
    """The names of the presets shipped, sorted."""
    return data.names("presets")


def load(source: Path | str) -> Preset:
    """Load a preset from a file, or by the name of one shipped with the package.

    A text that holds a slash or ends in `.toml` is a path. DocumentError says what is wrong in the file and where;
    UsageError that there is no such preset.
    """
    return define(data.document("presets", source, "preset"))


def define(table: Table) -> Preset:
    """Build a preset from its document. DocumentError for everything that cannot be."""
    name = _name(table)
    title = table.text("title")
    currency = table.currency("currency")
    as_of = _as_of(table)
    undecided = table.boolean("undecided", False)
    tables = table.tables("classes")
    tiers = tuple(_tier(each, currency) for each in tables)
    for place, tier in enumerate(tiers):
        first = next(at for at, each in enumerate(tiers) if each.name == tier.name)
        if first != place:
            raise tables[place].error(
                "name",
                f"{documents.found(tier.name)} stands on line {tables[first].line('name')} already",
                right="each name in classes once",
            )
    table.finish()
    return Preset(name, title, currency, as_of, undecided, tiers)


def rule_set_numbers(preset: Preset, *, first_rule_set: int) -> dict[str, int]:
    """The number of each class's rule set, by its name: from `first_rule_set` on, in the file's order.

    UsageError if they do not fit 1 to 65,535.
    """
    last = first_rule_set + len(preset.tiers) - 1
    if not 1 <= first_rule_set <= last <= RULE_SETS_MAX:
        raise UsageError(
            f"{preset.name} takes the rule sets {first_rule_set} to {last}",
            hint=f"rule sets are numbered 1 to {RULE_SETS_MAX}; its {len(preset.tiers)} classes take one each",
        )
    return {tier.name: first_rule_set + place for place, tier in enumerate(preset.tiers)}


def tier_records(
    preset: Preset,
    *,
    first_rule_set: int,
    from_ns: int,
    until_ns: int,
    ids: Array | Sequence[int],
    effective_ns: int = 0,
) -> Array:
    """One DEFINE_RULE_SET per class, numbered as `rule_set_numbers` says: (number of classes,) layout.OPERATION.

    `ids` are as many operation ids as there are classes: an array of ids or Python ints. An account whose rule set is
    not in force, from `from_ns` (included) until `until_ns` (excluded), cannot receive. `effective_ns` 0 defines them;
    a later time changes rule sets that are defined already, with the same window, when it comes. Raises UsageError for
    a wrong number of ids or rule sets that do not fit.
    """
    numbers = rule_set_numbers(preset, first_rule_set=first_rule_set)
    if len(ids) != len(preset.tiers):
        raise UsageError(
            f"{len(ids)} ids for the {len(preset.tiers)} classes of {preset.name}", hint="one operation id per class"
        )
    one_by_one = [to_int(one) if isinstance(one, np.void) else int(one) for one in ids]
    records = [
        operations.define_rule_set(
            operation_id,
            rule_set=numbers[tier.name],
            from_ns=from_ns,
            until_ns=until_ns,
            effective_ns=effective_ns,
            flags=flags_of(tier),
            balance_max=tier.balance_max_minor,
            single_max=tier.single_max_minor,
            day_max=tier.day_max_minor,
            month_max=tier.month_max_minor,
            year_max=tier.year_max_minor,
            refund_reserve=tier.refund_reserve_minor,
            refund_window_s=tier.refund_window_s,
        )
        for operation_id, tier in zip(one_by_one, preset.tiers, strict=True)
    ]
    return np.concatenate(records)


def flags_of(tier: Tier) -> RuleFlag:
    """What money of a wallet of this class may not do."""
    persons = RuleFlag(0) if tier.person_to_person else RuleFlag.NO_PERSONS
    cash_out = RuleFlag(0) if tier.cash_out else RuleFlag.NO_CASH_OUT
    return persons | cash_out


# --- reading ---


def _tier(table: Table, currency: Currency) -> Tier:
    name = _name(table)
    holder = table.choice("holder", HOLDERS)
    identity = table.text("identity") if _written(table, "identity") else ""
    unlimited = table.texts("unlimited", choices=LIMITS, default=())
    maxima = {limit: _maximum(table, limit, currency) for limit in LIMITS}
    _check_limits(table, maxima, unlimited, currency)
    waterfall = table.boolean("waterfall", False)
    if waterfall and not maxima["balance"]:
        raise table.error("waterfall", "nothing can exceed a balance without limit", right='add balance = "..."')
    refund_days = table.integer("refund_days", 0, least=0, most=REFUND_DAYS_MAX)
    tier = Tier(
        name=name,
        holder=holder,
        identity=identity,
        balance_max_minor=maxima["balance"],
        single_max_minor=maxima["single"],
        day_max_minor=maxima["day"],
        month_max_minor=maxima["month"],
        year_max_minor=maxima["year"],
        unlimited=unlimited,
        unverified=_unverified(table),
        asked_minor=_asked(table, maxima["balance"], currency),
        refund_reserve_minor=_maximum(table, "refund_reserve", currency),
        refund_window_s=refund_days * SECONDS_PER_DAY,
        person_to_person=table.boolean("person_to_person", True),
        cash_out=table.boolean("cash_out", True),
        waterfall=waterfall,
        reverse_waterfall=table.boolean("reverse_waterfall", False),
        sweep=table.boolean("sweep", False),
        source=table.text("source"),
        mark=table.choice("mark", MARKS),
    )
    table.finish()
    return tier


def _name(table: Table) -> str:
    name = table.text("name")
    if not _NAME.fullmatch(name):
        right = 'small letters, digits and single hyphens, such as "class-4"'
        raise table.error("name", f"found {documents.found(name)}", right=right)
    return name


def _as_of(table: Table) -> str:
    """A day or a month, as text: where a source gives no day, none must be made up."""
    right = 'a day or a month in quotes, such as "2021-06-11" or "2021-06"'
    try:
        as_of = table.text("as_of")
    except DocumentError as error:
        raise table.error("as_of", error.problem, right=right) from error
    try:
        if not _AS_OF.fullmatch(as_of):
            raise ValueError(as_of)
        date.fromisoformat(as_of if len(as_of) > len("2021-06") else f"{as_of}-01")
    except ValueError as error:
        raise table.error("as_of", f"found {documents.found(as_of)}", right=right) from error
    return as_of


def _written(table: Table, key: str) -> bool:
    """Whether `key` is there. It may be left out, but a slip near it is explained."""
    if key in table:
        return True
    table.offer(key)
    return False


def _maximum(table: Table, key: str, currency: Currency) -> int:
    """An amount above zero in minor units; 0 where the key is not written."""
    if not _written(table, key):
        return 0
    amount_minor = table.money(key, currency)
    if amount_minor <= 0:
        right = "an amount above zero; what has no limit is left out, or named in `unlimited`"
        raise table.error(key, f"found {money.format(amount_minor, currency)}", right=right)
    return amount_minor


def _check_limits(table: Table, maxima: dict[str, int], unlimited: tuple[str, ...], currency: Currency) -> None:
    """A limit is an amount or said not to exist; and one that a longer period makes unreachable is a slip."""
    for limit in unlimited:
        if maxima[limit]:
            right = f"take {documents.found(limit)} out of one of the two"
            raise table.error("unlimited", f"{limit} is limited on line {table.line(limit)}", right=right)
    given = [limit for limit in SPENDING_LIMITS if maxima[limit]]
    for shorter, longer in pairwise(given):
        if maxima[shorter] > maxima[longer]:
            shown, bound = money.format(maxima[shorter], currency), money.format(maxima[longer], currency)
            raise table.error(
                shorter,
                f"{shorter} is {shown}, but {longer} allows only {bound} (line {table.line(longer)})",
                right=f"at most {bound}",
            )


def _asked(table: Table, balance_max_minor: int, currency: Currency) -> tuple[int, int] | None:
    """The range of balances under discussion, around the one that is taken."""
    least, most = PROPOSED_RANGE
    if not _written(table, least) and not _written(table, most):
        return None
    least_minor, most_minor = table.money(least, currency), table.money(most, currency)
    if not 0 < least_minor <= balance_max_minor <= most_minor:
        shown = " to ".join(money.format(each, currency) for each in (least_minor, most_minor))
        balance = money.format(balance_max_minor, currency)
        raise table.error(least, f"{shown} does not hold the balance, {balance}", right="a range around the balance")
    return least_minor, most_minor


def _unverified(table: Table) -> tuple[str, ...]:
    unverified = table.texts("unverified", choices=("identity", *LIMITS, *PROPOSED_RANGE), default=())
    for key in unverified:
        if key not in table:
            right = f"add {key}, or take it out of `unverified`"
            raise table.error("unverified", f"{documents.found(key)} is not written here", right=right)
    return unverified
