"""Small town with a preset: an embedded ledger with a settable clock and the rule sets of all classes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self
from zoneinfo import ZoneInfo

import numpy as np

from sycee.core.arrays import Array
from sycee.core.clock import SimulatedClock
from sycee.core.records.layout import OPERATION, AccountKind, Kind
from sycee.core.result_codes import Result
from sycee.sequencer.embedded import Ledger
from sycee.wallets import tiers
from sycee.wallets.tiers import Preset, Tier

ZONE = ZoneInfo("Asia/Shanghai")
FOREVER_NS = 2**63 - 1
ISSUANCE, SUSPENSE, SHOP, VAULT, BANK_LEG = range(1, 6)
HOLDER_KINDS = {"person": AccountKind.WALLET, "merchant": AccountKind.MERCHANT}


def local_ns(text: str) -> int:
    """Return a local time of the town in nanoseconds since 1970-01-01T00:00Z."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp()) * 10**9


START_NS = local_ns("2021-01-04T12:00")


def period_end_ns(now_ns: int, period: str) -> int:
    """Return the end of the local day, month or year of `now_ns`: the first nanosecond of the next."""
    midnight = datetime.fromtimestamp(now_ns // 10**9, ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "day":
        end = midnight.replace(tzinfo=None) + timedelta(days=1)
    elif period == "month":
        end = (midnight.replace(tzinfo=None, day=28) + timedelta(days=4)).replace(day=1)
    else:
        end = datetime(midnight.year + 1, 1, 1)  # noqa: DTZ001 - local_ns gives it the zone
    return local_ns(end.isoformat())


class Town:
    """Ledger as a context manager. Accounts are small numbers; `rule_sets` has each class's number."""

    def __init__(self, folder: Path, preset: Preset, *, until_ns: int = FOREVER_NS) -> None:
        self.preset = preset
        self.until_ns = until_ns
        self.clock = SimulatedClock(START_NS)
        self.ledger = Ledger.open(folder, clock=self.clock)
        self.rule_sets = tiers.rule_set_numbers(preset, first_rule_set=1)
        self._operations: Iterator[int] = count(1_000)
        self._accounts: Iterator[int] = count(100)
        zone = np.zeros(1, OPERATION)
        zone.view("u1")[32 : 32 + len(ZONE.key)] = np.frombuffer(ZONE.key.encode(), "u1")
        self.done(self.record(Kind.DEFINE_CURRENCY, base=zone, number=preset.currency.numeric))
        assert self.define(preset) == [Result.CREATED] * len(preset.tiers)
        for account, kind in (
            (ISSUANCE, AccountKind.ISSUANCE),
            (SUSPENSE, AccountKind.SUSPENSE),
            (SHOP, AccountKind.MERCHANT),
            (VAULT, AccountKind.VAULT),
            (BANK_LEG, AccountKind.IN_TRANSIT),
        ):
            self.open(kind, account=account)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ledger.close()

    # --- operations ---

    def record(self, kind: Kind, *, base: Array | None = None, id: int | None = None, **fields: int) -> Array:
        """Return one operation. Ids of accounts and operations are small, so their high halves are zero."""
        made = np.zeros(1, OPERATION) if base is None else base
        made["kind"], made["id_low"] = int(kind), next(self._operations) if id is None else id
        for name, value in fields.items():
            made[f"{name}_low" if name in ("debit", "credit", "reference") else name] = value
        return made

    def ask(self, *records: Array) -> list[Result]:
        """Return the results of operations in one submission."""
        return [Result(int(code)) for code in self.ledger.submit(np.concatenate(records))["code"]]

    def one(self, kind: Kind, **fields: int) -> Result:
        """Return the result of one operation."""
        return self.ask(self.record(kind, **fields))[0]

    def done(self, *records: Array) -> None:
        """Submit operations that must all succeed."""
        assert self.ask(*records) == [Result.CREATED] * len(records)

    # --- actions ---

    def define(self, preset: Preset, *, effective_ns: int = 0) -> list[Result]:
        """Define the preset's rule sets, or change them at `effective_ns`."""
        records = tiers.tier_records(
            preset,
            first_rule_set=1,
            from_ns=0,
            until_ns=self.until_ns,
            ids=[next(self._operations) for _ in preset.tiers],
            effective_ns=effective_ns,
        )
        return self.ask(*(records[at : at + 1] for at in range(records.size)))

    def open(self, kind: AccountKind, *, account: int | None = None, rule_set: int = 0) -> int:
        """Open an account and return its id."""
        account = next(self._accounts) if account is None else account
        suspense = 0 if kind in (AccountKind.ISSUANCE, AccountKind.SUSPENSE) else SUSPENSE
        number = self.preset.currency.numeric
        self.done(
            self.record(
                Kind.OPEN_ACCOUNT, debit=account, credit=suspense, number=number, first=int(kind), rule_set=rule_set
            )
        )
        return account

    def wallet(self, tier: Tier) -> int:
        """Open an empty account of this class."""
        return self.open(HOLDER_KINDS[tier.holder], rule_set=self.rule_sets[tier.name])

    def rich_wallet(self, tier: Tier, *, amount: int = 10**12) -> int:
        """Open an account of this class above its maximum: it is funded before its rule set applies."""
        account = self.open(HOLDER_KINDS[tier.holder])
        assert self.give(ISSUANCE, account, amount) is Result.CREATED
        self.done(self.record(Kind.SET_RULE_SET, debit=account, rule_set=self.rule_sets[tier.name]))
        return account

    def give(self, debit: int, credit: int, amount: int, **fields: int) -> Result:
        """Transfer."""
        return self.one(Kind.TRANSFER, debit=debit, credit=credit, amount=amount, **fields)

    def pay(self, payer: int, amount: int, **fields: int) -> Result:
        """Pay the shop."""
        return self.one(Kind.PAY, debit=payer, credit=SHOP, amount=amount, **fields)

    def spend(self, tier: Tier, payer: int, amount: int) -> None:
        """Spend exactly `amount` within the single and the daily limit: the clock advances by days."""
        while amount:
            today = min(amount, tier.day_max_minor or amount)
            amount -= today
            payments = []
            while today:
                at_a_time = min(today, tier.single_max_minor or today)
                today -= at_a_time
                payments.append(self.record(Kind.PAY, debit=payer, credit=SHOP, amount=at_a_time))
            self.done(*payments)
            if amount:
                self.clock.set(period_end_ns(self.clock.now_ns(), "day"))

    def balance(self, account: int) -> int:
        """Return the balance in minor units."""
        return self.ledger.balance(account)

    def link_to_bank(self, account: int) -> None:
        """Link the account to the vault through the bank leg, so that its excess goes there."""
        self.done(
            self.record(Kind.LINK_ACCOUNT, debit=account, credit=BANK_LEG),
            self.record(Kind.LINK_ACCOUNT, debit=BANK_LEG, credit=VAULT),
        )
