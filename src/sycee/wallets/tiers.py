"""Wallet tiers, read from a TOML file and written as rule sets.

A preset contains the tiers of one scheme at one date. For each class of wallets it gives the identification required,
the maximum balance, and the maximum spent per payment, day, month and year. `load` reads a file, or a preset shipped
with the package, as a frozen `Preset`; its errors name file, line, key, value and rule. `tier_records` returns one
DEFINE_RULE_SET per class, which the ledger enforces. Amounts are minor units of the preset's currency; 0 means no
limit. docs/reference/wallets.md documents every key.
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
from sycee.core.limits import RULE_SETS_MAX
from sycee.core.money import Currency
from sycee.core.records import operations
from sycee.core.records.layout import RuleFlag

HOLDERS: Final = ("person", "merchant")
MARKS: Final = ("1", "2", "assumed")  # found in one source, found in two or more, assumed by us
SPENDING_LIMITS: Final = ("single", "day", "month", "year")  # shortest period first
LIMITS: Final = ("balance", *SPENDING_LIMITS)
PROPOSED_RANGE: Final = ("asked_from", "asked_until")
REFUND_DAYS_MAX: Final = 49_710  # a rule set stores its refund window as 32 bits of seconds
SECONDS_PER_DAY: Final = 86_400

_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_AS_OF: Final = re.compile(r"\d{4}-\d\d(-\d\d)?")


@dataclass(frozen=True, slots=True)
class Tier:
    """One class of wallets. Maxima and the refund reserve are in minor units; 0 means none.

    - `unlimited`: limits that do not exist according to the source. Other limits of 0 are not mentioned by the source.
    - `unverified`: keys whose values no source supports.
    - `asked_minor`: range of balances under discussion, if there is one.
    - `waterfall`: the excess over `balance_max_minor` goes to the bank. The ledger does this for a linked account.
    - `sweep`: the whole balance is sent to the bank periodically, by a SEND that a service submits.
    - `reverse_waterfall`: money missing for a payment is sent from the bank, by a SEND that a service submits.
    """

    name: str
    holder: str  # one of HOLDERS
    identity: str  # required identification; "" where the source has none
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
        """Return the maximum for `limit`, one of LIMITS, in minor units; 0 for none."""
        return int(getattr(self, f"{limit}_max_minor"))


@dataclass(frozen=True, slots=True)
class Preset:
    """Tiers of one scheme at `as_of`, a day or a month. `undecided`: the figures are proposals."""

    name: str
    title: str
    currency: Currency
    as_of: str
    undecided: bool
    tiers: tuple[Tier, ...]

    def tier(self, name: str) -> Tier:
        """Return the class with this name. Raise UsageError if there is none."""
        for each in self.tiers:
            if each.name == name:
                return each
        classes = ", ".join(each.name for each in self.tiers)
        raise UsageError(f'{self.name} has no class "{name}"', hint=f"its classes: {classes}")


def names() -> tuple[str, ...]:
    """Return the names of the shipped presets, sorted."""
    return data.names("presets")


def load(source: Path | str) -> Preset:
    """Return a preset from a file, or a shipped preset by its name.

    Text with a slash or with the ending `.toml` is a path. Raise DocumentError for an error in the file, with its
    place; raise UsageError for an unknown preset.
    """
    return define(data.document("presets", source, "preset"))


def define(table: Table) -> Preset:
    """Return a preset from its document. Raise DocumentError for an invalid document."""
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
                f"{documents.found(tier.name)} is already used on line {tables[first].line('name')}",
                right="a different name for each class",
            )
    table.finish()
    return Preset(name, title, currency, as_of, undecided, tiers)


def rule_set_numbers(preset: Preset, *, first_rule_set: int) -> dict[str, int]:
    """Return the rule set number of each class by name: `first_rule_set` and following, in the file's order.

    Raise UsageError for numbers outside 1 to 65,535.
    """
    last = first_rule_set + len(preset.tiers) - 1
    if not 1 <= first_rule_set <= last <= RULE_SETS_MAX:
        raise UsageError(
            f"{preset.name} needs the rule sets {first_rule_set} to {last}",
            hint=f"rule sets are numbered 1 to {RULE_SETS_MAX}; each of the {len(preset.tiers)} classes needs one",
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
    """Return one DEFINE_RULE_SET per class, numbered by `rule_set_numbers`: (number of classes,) layout.OPERATION.

    `ids`: one operation id per class, an array of ids or Python ints. The rule sets are in force from `from_ns` until
    `until_ns`, exclusive; an account outside this window cannot receive. `effective_ns` 0 defines the rule sets; a
    later time changes existing rule sets with the same window at that time. Raise UsageError for a wrong number of ids
    and for rule set numbers out of range.
    """
    numbers = rule_set_numbers(preset, first_rule_set=first_rule_set)
    if len(ids) != len(preset.tiers):
        raise UsageError(
            f"{len(ids)} ids for the {len(preset.tiers)} classes of {preset.name}",
            hint="give one operation id per class",
        )
    records = [
        operations.define_rule_set(
            operation_id,
            rule_set=numbers[tier.name],
            from_ns=from_ns,
            until_ns=until_ns,
            effective_ns=effective_ns,
            flags=(0 if tier.person_to_person else RuleFlag.NO_PERSONS)
            | (0 if tier.cash_out else RuleFlag.NO_CASH_OUT),
            balance_max=tier.balance_max_minor,
            single_max=tier.single_max_minor,
            day_max=tier.day_max_minor,
            month_max=tier.month_max_minor,
            year_max=tier.year_max_minor,
            refund_reserve=tier.refund_reserve_minor,
            refund_window_s=tier.refund_window_s,
        )
        for operation_id, tier in zip(ids, preset.tiers, strict=True)
    ]
    return np.concatenate(records)


# --- reading ---


def _tier(table: Table, currency: Currency) -> Tier:
    name = _name(table)
    holder = table.choice("holder", HOLDERS)
    unlimited = table.texts("unlimited", choices=LIMITS, default=())
    maxima = {limit: _maximum(table, limit, currency) for limit in LIMITS}
    _check_limits(table, maxima, unlimited, currency)
    waterfall = table.boolean("waterfall", False)
    if waterfall and not maxima["balance"]:
        raise table.error("waterfall", "a balance without limit has no excess", right='add balance = "..."')
    refund_days = table.integer("refund_days", 0, least=0, most=REFUND_DAYS_MAX)
    tier = Tier(
        name=name,
        holder=holder,
        identity=table.text("identity", ""),
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
    """Return a day or a month as text. A source without a day gives no day."""
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


def _maximum(table: Table, key: str, currency: Currency) -> int:
    """Return an amount > 0 in minor units; 0 without the key."""
    table.offer(key)
    if key not in table:
        return 0
    amount_minor = table.money(key, currency)
    if amount_minor <= 0:
        right = "an amount above zero; omit a limit that does not exist, or list it in `unlimited`"
        raise table.error(key, f"found {money.format(amount_minor, currency)}", right=right)
    return amount_minor


def _check_limits(table: Table, maxima: dict[str, int], unlimited: tuple[str, ...], currency: Currency) -> None:
    """Raise DocumentError for a limit that is also in `unlimited`, or that exceeds the limit of a longer period."""
    for limit in unlimited:
        if maxima[limit]:
            right = f"remove {documents.found(limit)} from one of the two"
            raise table.error("unlimited", f"{limit} has a limit on line {table.line(limit)}", right=right)
    given = [limit for limit in SPENDING_LIMITS if maxima[limit]]
    for shorter, longer in pairwise(given):
        if maxima[shorter] > maxima[longer]:
            shown, bound = money.format(maxima[shorter], currency), money.format(maxima[longer], currency)
            raise table.error(
                shorter,
                f"{shorter} is {shown}, but {longer} permits only {bound} (line {table.line(longer)})",
                right=f"at most {bound}",
            )


def _asked(table: Table, balance_max_minor: int, currency: Currency) -> tuple[int, int] | None:
    """Return the range of balances under discussion, which includes the balance."""
    least, most = PROPOSED_RANGE
    for key in PROPOSED_RANGE:
        table.offer(key)
    if least not in table and most not in table:
        return None
    least_minor, most_minor = table.money(least, currency), table.money(most, currency)
    if not 0 < least_minor <= balance_max_minor <= most_minor:
        shown = " to ".join(money.format(each, currency) for each in (least_minor, most_minor))
        balance = money.format(balance_max_minor, currency)
        raise table.error(least, f"{shown} does not include the balance {balance}", right="a range around the balance")
    return least_minor, most_minor


def _unverified(table: Table) -> tuple[str, ...]:
    unverified = table.texts("unverified", choices=("identity", *LIMITS, *PROPOSED_RANGE), default=())
    for key in unverified:
        if key not in table:
            right = f"add {key}, or remove it from `unverified`"
            raise table.error("unverified", f"this class has no key {documents.found(key)}", right=right)
    return unverified
