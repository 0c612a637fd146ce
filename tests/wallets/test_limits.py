"""Limits of every preset on a real ledger, exact to the minor unit and the nanosecond.

The second part tests the statements of docs/reference/wallets.md about limits.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.wallets.town import BANK_LEG, ISSUANCE, SHOP, START_NS, VAULT, Town, local_ns, period_end_ns

from sycee.core.records.layout import Kind, SendFlag
from sycee.core.result_codes import Result
from sycee.wallets import tiers
from sycee.wallets.tiers import Preset, Tier

CLASSES = [(name, tier.name) for name in tiers.names() for tier in tiers.load(name).tiers]
WITH_LIMIT = [
    (name, class_name, limit)
    for name, class_name in CLASSES
    for limit in tiers.LIMITS
    if tiers.load(name).tier(class_name).maximum_minor(limit)
]
PERIODS = [each for each in WITH_LIMIT if each[2] in ("day", "month", "year")]
SECOND_NS = 10**9


def of(name: str, class_name: str) -> tuple[Preset, Tier]:
    preset = tiers.load(name)
    return preset, preset.tier(class_name)


# --- each limit of each class ---


@pytest.mark.parametrize(("name", "class_name"), [each[:2] for each in WITH_LIMIT if each[2] == "balance"])
def test_the_balance_limit_of_a_class_is_exact(name: str, class_name: str, tmp_path: Path) -> None:
    preset, tier = of(name, class_name)
    with Town(tmp_path, preset) as town:
        wallet = town.wallet(tier)
        assert town.give(ISSUANCE, wallet, tier.balance_max_minor + 1) is Result.EXCEEDS_BALANCE_LIMIT
        assert town.balance(wallet) == 0
        assert town.give(ISSUANCE, wallet, tier.balance_max_minor) is Result.CREATED
        assert town.give(ISSUANCE, wallet, 1) is Result.EXCEEDS_BALANCE_LIMIT
        assert town.pay(wallet, 1) is Result.CREATED
        assert town.give(ISSUANCE, wallet, 2) is Result.EXCEEDS_BALANCE_LIMIT
        assert town.give(ISSUANCE, wallet, 1) is Result.CREATED
        assert town.balance(wallet) == tier.balance_max_minor


@pytest.mark.parametrize(("name", "class_name"), [each[:2] for each in WITH_LIMIT if each[2] == "single"])
def test_the_single_limit_of_a_class_is_exact(name: str, class_name: str, tmp_path: Path) -> None:
    preset, tier = of(name, class_name)
    with Town(tmp_path, preset) as town:
        wallet = town.rich_wallet(tier)
        assert town.pay(wallet, tier.single_max_minor + 1) is Result.EXCEEDS_SINGLE_LIMIT
        assert town.give(wallet, SHOP, tier.single_max_minor + 1) is Result.EXCEEDS_SINGLE_LIMIT
        assert town.pay(wallet, tier.single_max_minor) is Result.CREATED
        assert town.balance(SHOP) == tier.single_max_minor


@pytest.mark.parametrize(("name", "class_name", "period"), PERIODS)
def test_the_period_limits_of_a_class_are_exact(name: str, class_name: str, period: str, tmp_path: Path) -> None:
    preset, tier = of(name, class_name)
    with Town(tmp_path, preset) as town:
        wallet = town.rich_wallet(tier)
        ends_ns = period_end_ns(START_NS, period)
        refused = Result[f"EXCEEDS_{period.upper()}_LIMIT"]
        town.spend(tier, wallet, tier.maximum_minor(period) - 1)
        town.clock.set(max(town.clock.now_ns(), ends_ns - SECOND_NS))
        assert town.clock.now_ns() < ends_ns
        assert town.pay(wallet, 2) is refused
        assert town.pay(wallet, 1) is Result.CREATED
        town.clock.set(ends_ns - 1)
        assert town.pay(wallet, 1) is refused
        assert town.balance(SHOP) == tier.maximum_minor(period)
        town.clock.set(ends_ns)
        assert town.pay(wallet, 1) is Result.CREATED


@pytest.mark.parametrize(("name", "class_name"), CLASSES)
def test_a_class_without_a_limit_is_not_limited(name: str, class_name: str, tmp_path: Path) -> None:
    preset, tier = of(name, class_name)
    great = 10**12
    with Town(tmp_path, preset) as town:
        if not tier.balance_max_minor:
            assert town.give(ISSUANCE, town.wallet(tier), great) is Result.CREATED
        limits = [limit for limit in tiers.SPENDING_LIMITS if tier.maximum_minor(limit)]
        if not limits:
            assert town.pay(town.rich_wallet(tier, amount=great), great) is Result.CREATED
        if "year" not in limits and "day" in limits:
            wallet = town.rich_wallet(tier, amount=great)
            town.spend(tier, wallet, 3 * tier.day_max_minor)


def test_a_preset_from_a_file_is_enforced(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        'name = "own"\ntitle = "Own"\ncurrency = "EUR"\nas_of = "2027-01"\n[[classes]]\nname = "light"\n'
        'holder = "person"\nday = "50.00"\ncash_out = false\nperson_to_person = false\n'
        'source = "us"\nmark = "assumed"\n'
    )
    preset = tiers.load(path)
    with Town(tmp_path / "ledger", preset) as town:
        ann, bob = (town.rich_wallet(preset.tier("light")) for _ in range(2))
        assert town.give(ann, VAULT, 1) is Result.CASH_OUT_NOT_ALLOWED
        assert town.give(ann, bob, 1) is Result.PERSONS_NOT_ALLOWED
        assert town.pay(ann, 5_001) is Result.EXCEEDS_DAY_LIMIT
        assert town.pay(ann, 5_000) is Result.CREATED


# --- excess and missing money ---


def test_the_excess_over_the_balance_goes_to_the_bank(tmp_path: Path) -> None:
    preset, tier = of("digital-euro-2025", "person")
    assert tier.waterfall
    with Town(tmp_path, preset) as town:
        wallet = town.wallet(tier)
        assert town.give(ISSUANCE, wallet, tier.balance_max_minor + 7) is Result.EXCEEDS_BALANCE_LIMIT
        town.link_to_bank(wallet)
        assert town.give(ISSUANCE, wallet, tier.balance_max_minor + 7, id=50) is Result.CREATED
        assert [town.balance(each) for each in (wallet, BANK_LEG, VAULT)] == [tier.balance_max_minor, 7, 0]
        assert town.one(Kind.CONFIRM, reference=50) is Result.CREATED
        assert [town.balance(each) for each in (wallet, BANK_LEG, VAULT)] == [tier.balance_max_minor, 0, 7]
        assert town.give(ISSUANCE, wallet, 5, id=51) is Result.CREATED
        # Money that the bank rejects returns above the limit; it can be spent, and nothing more is received.
        assert town.one(Kind.REJECT, reference=51) is Result.CREATED
        assert town.balance(wallet) == tier.balance_max_minor + 5


def test_missing_money_comes_from_the_bank_before_the_payment(tmp_path: Path) -> None:
    preset, tier = of("digital-euro-2025", "person")
    assert tier.reverse_waterfall
    with Town(tmp_path, preset) as town:
        wallet = town.wallet(tier)
        assert town.give(ISSUANCE, VAULT, 10**9) is Result.CREATED
        assert town.pay(wallet, 900) is Result.EXCEEDS_BALANCE
        assert town.one(Kind.SEND, debit=VAULT, credit=wallet, reference=BANK_LEG, amount=900, id=50) is Result.CREATED
        assert town.one(Kind.CONFIRM, reference=50) is Result.CREATED
        assert town.pay(wallet, 900) is Result.CREATED


@pytest.mark.parametrize(("name", "class_name"), [each for each in CLASSES if of(*each)[1].sweep])
def test_a_merchant_is_swept_to_the_bank(name: str, class_name: str, tmp_path: Path) -> None:
    preset, tier = of(name, class_name)
    with Town(tmp_path, preset) as town:
        merchant = town.wallet(tier)
        sweep = {"debit": merchant, "credit": VAULT, "reference": BANK_LEG, "amount": 10**15, "flags": SendFlag.UP_TO}
        assert town.one(Kind.SEND, **sweep) is Result.EXCEEDS_BALANCE
        for amount in (10**10, 25, 1):
            assert town.give(ISSUANCE, merchant, amount) is Result.CREATED
        assert town.one(Kind.SEND, **sweep, id=50) is Result.CREATED
        assert [town.balance(each) for each in (merchant, BANK_LEG)] == [0, 10**10 + 26]
        assert town.one(Kind.CONFIRM, reference=50) is Result.CREATED
        assert town.balance(VAULT) == 10**10 + 26


def test_a_sweep_leaves_the_refund_reserve(tmp_path: Path) -> None:
    preset, tier = of("enaira-2021", "merchant")
    tier = replace(tier, refund_reserve_minor=500, refund_window_s=60)
    with Town(tmp_path, replace(preset, tiers=(tier,))) as town:
        merchant = town.wallet(tier)
        payer = town.open(town.ledger.account(SHOP).kind)
        assert town.give(ISSUANCE, payer, 10_000) is Result.CREATED
        assert town.one(Kind.PAY, debit=payer, credit=merchant, amount=800, id=50) is Result.CREATED
        assert town.give(merchant, SHOP, 301) is Result.RESERVED_FOR_REFUNDS
        sweep = {"debit": merchant, "credit": VAULT, "reference": BANK_LEG, "amount": 10**9, "flags": SendFlag.UP_TO}
        assert town.one(Kind.SEND, **sweep) is Result.CREATED
        assert town.balance(merchant) == 500
        assert town.one(Kind.REFUND, reference=50, amount=400) is Result.CREATED
        town.clock.advance(61 * SECOND_NS)
        assert town.one(Kind.REFUND, reference=50, amount=1) is Result.REFUND_WINDOW_CLOSED


# --- what limits mean for a user ---

ECNY = ("ecny-2021", "class-4")  # 2,000.00 per payment, 5,000.00 per day


def test_a_hold_counts_at_once_and_restores_limits_when_released(tmp_path: Path) -> None:
    preset, tier = of(*ECNY)
    with Town(tmp_path, preset) as town:
        wallet = town.rich_wallet(tier)
        hold = {"debit": wallet, "credit": SHOP, "until_ns": START_NS + 10 * 86_400 * SECOND_NS}
        for id in (50, 51):
            assert town.one(Kind.HOLD, **hold, amount=200_000, id=id) is Result.CREATED
        assert town.pay(wallet, 100_001) is Result.EXCEEDS_DAY_LIMIT
        assert town.one(Kind.POST, reference=50, debit=SHOP, amount=200_000) is Result.CREATED
        assert town.pay(wallet, 100_001) is Result.EXCEEDS_DAY_LIMIT  # a post does not count again
        assert town.one(Kind.VOID, reference=51, debit=SHOP) is Result.CREATED
        assert town.pay(wallet, 200_000) is Result.CREATED
        assert town.pay(wallet, 100_001) is Result.EXCEEDS_DAY_LIMIT
        assert town.pay(wallet, 100_000) is Result.CREATED


def test_a_hold_that_times_out_restores_its_own_day_only(tmp_path: Path) -> None:
    preset, tier = of(*ECNY)
    with Town(tmp_path, preset) as town:
        wallet = town.rich_wallet(tier)
        midnight_ns = period_end_ns(START_NS, "day")
        for id, until_ns in ((50, START_NS + 60 * SECOND_NS), (51, midnight_ns + 60 * SECOND_NS)):
            hold = {"debit": wallet, "credit": SHOP, "amount": 200_000, "until_ns": until_ns}
            assert town.one(Kind.HOLD, **hold, id=id) is Result.CREATED
        town.clock.set(START_NS + 60 * SECOND_NS - 1)
        assert town.pay(wallet, 100_001) is Result.EXCEEDS_DAY_LIMIT
        town.clock.set(START_NS + 60 * SECOND_NS)
        for amount in (200_000, 100_000):
            assert town.pay(wallet, amount) is Result.CREATED
        assert town.pay(wallet, 1) is Result.EXCEEDS_DAY_LIMIT
        # The other hold ends on the next day, after its own day: it restores nothing of that day.
        town.clock.set(midnight_ns)
        assert town.pay(wallet, 1) is Result.CREATED
        town.clock.set(midnight_ns + 60 * SECOND_NS)
        for amount in (200_000, 200_000, 99_999):
            assert town.pay(wallet, amount) is Result.CREATED
        assert town.pay(wallet, 1) is Result.EXCEEDS_DAY_LIMIT


def test_a_refund_reaches_a_full_wallet_and_restores_no_limit(tmp_path: Path) -> None:
    preset, tier = of(*ECNY)
    with Town(tmp_path, preset) as town:
        wallet = town.wallet(tier)
        assert town.give(ISSUANCE, wallet, tier.balance_max_minor) is Result.CREATED
        assert town.pay(wallet, 200_000, id=50) is Result.CREATED
        assert town.give(ISSUANCE, wallet, 200_000) is Result.CREATED
        assert town.one(Kind.REFUND, reference=50, amount=200_000) is Result.CREATED
        assert town.balance(wallet) == tier.balance_max_minor + 200_000
        assert town.give(ISSUANCE, wallet, 1) is Result.EXCEEDS_BALANCE_LIMIT
        for amount in (200_000, 100_000):
            assert town.pay(wallet, amount) is Result.CREATED
        assert town.pay(wallet, 1) is Result.EXCEEDS_DAY_LIMIT


def test_a_rejected_send_restores_its_limit(tmp_path: Path) -> None:
    preset, tier = of(*ECNY)
    with Town(tmp_path, preset) as town:
        wallet = town.rich_wallet(tier)
        send = {"debit": wallet, "credit": VAULT, "reference": BANK_LEG, "amount": 200_000}
        assert town.one(Kind.SEND, **{**send, "amount": 200_001}) is Result.EXCEEDS_SINGLE_LIMIT
        assert [town.one(Kind.SEND, **send, id=id) for id in (50, 51)] == [Result.CREATED] * 2
        assert town.pay(wallet, 100_001) is Result.EXCEEDS_DAY_LIMIT
        assert town.one(Kind.REJECT, reference=50) is Result.CREATED
        assert town.one(Kind.CONFIRM, reference=51) is Result.CREATED
        assert town.pay(wallet, 200_000) is Result.CREATED
        assert town.pay(wallet, 100_000) is Result.CREATED
        assert town.pay(wallet, 1) is Result.EXCEEDS_DAY_LIMIT


def test_a_change_of_class_keeps_used_amounts(tmp_path: Path) -> None:
    preset, tier = of(*ECNY)
    with Town(tmp_path, preset) as town:
        wallet = town.rich_wallet(tier)
        town.spend(tier, wallet, tier.day_max_minor)
        assert town.pay(wallet, 1) is Result.EXCEEDS_DAY_LIMIT
        town.done(town.record(Kind.SET_RULE_SET, debit=wallet, rule_set=town.rule_sets["class-2"]))
        larger = preset.tier("class-2")
        town.spend(larger, wallet, larger.day_max_minor - tier.day_max_minor)
        assert town.pay(wallet, 1) is Result.EXCEEDS_DAY_LIMIT


def test_a_change_takes_effect_at_its_time(tmp_path: Path) -> None:
    preset, tier = of(*ECNY)
    smaller = replace(tier, balance_max_minor=300_000, day_max_minor=250_000)
    changed = replace(preset, tiers=tuple(smaller if each is tier else each for each in preset.tiers))
    at_ns = local_ns("2021-01-04T18:00")
    with Town(tmp_path, preset) as town:
        wallet = town.wallet(tier)
        assert town.give(ISSUANCE, wallet, tier.balance_max_minor) is Result.CREATED
        assert town.define(changed) == [Result.RULE_SET_EXISTS] * 4
        assert town.define(changed, effective_ns=at_ns) == [Result.CREATED] * 4
        assert town.pay(wallet, 200_000) is Result.CREATED
        town.clock.set(at_ns - 2)  # two frames: the second is a nanosecond later
        assert town.pay(wallet, 40_000) is Result.CREATED
        assert town.give(ISSUANCE, wallet, 240_000) is Result.CREATED
        town.clock.set(at_ns)
        # Used amounts count against the new limit; a balance above the new maximum stays and can only shrink.
        assert town.pay(wallet, 10_001) is Result.EXCEEDS_DAY_LIMIT
        assert town.pay(wallet, 10_000) is Result.CREATED
        assert town.balance(wallet) == tier.balance_max_minor - 10_000
        assert town.give(ISSUANCE, wallet, 1) is Result.EXCEEDS_BALANCE_LIMIT


def test_the_second_of_two_scheduled_changes_counts(tmp_path: Path) -> None:
    preset, tier = of(*ECNY)
    first, second = (
        replace(preset, tiers=(replace(tier, single_max_minor=single), *preset.tiers[1:])) for single in (100, 700)
    )
    at_ns = START_NS + 3_600 * SECOND_NS
    with Town(tmp_path, preset) as town:
        wallet = town.rich_wallet(tier)
        for change, effective_ns in ((first, at_ns), (second, at_ns + SECOND_NS)):
            assert town.define(change, effective_ns=effective_ns) == [Result.CREATED] * 4
        town.clock.set(at_ns + SECOND_NS - 1)
        assert town.pay(wallet, 200_000) is Result.CREATED
        town.clock.set(at_ns + SECOND_NS)
        assert town.pay(wallet, 701) is Result.EXCEEDS_SINGLE_LIMIT
        assert town.pay(wallet, 700) is Result.CREATED


def test_outside_its_window_an_account_spends_and_does_not_receive(tmp_path: Path) -> None:
    preset, tier = of(*ECNY)
    until_ns = START_NS + 3_600 * SECOND_NS
    with Town(tmp_path, preset, until_ns=until_ns) as town:
        wallet = town.wallet(tier)
        town.clock.set(until_ns - 1)
        assert town.give(ISSUANCE, wallet, 1_000) is Result.CREATED
        town.clock.set(until_ns)
        assert town.give(ISSUANCE, wallet, 1) is Result.RULE_SET_NOT_IN_FORCE
        assert town.pay(wallet, 200_001) is Result.EXCEEDS_BALANCE
        assert town.pay(wallet, 1_000) is Result.CREATED


def test_a_refused_payment_uses_no_limit(tmp_path: Path) -> None:
    preset, tier = of(*ECNY)
    with Town(tmp_path, preset) as town:
        wallet = town.rich_wallet(tier)
        assert [town.pay(wallet, 200_001) for _ in range(5)] == [Result.EXCEEDS_SINGLE_LIMIT] * 5
        town.spend(tier, wallet, tier.day_max_minor)
        assert town.ledger.account(wallet).balance == 10**12 - tier.day_max_minor


def test_limits_are_counted_within_one_submission(tmp_path: Path) -> None:
    """Each of two payments fits the limit, both together do not: the second is refused in every frame."""
    preset, tier = of(*ECNY)
    with Town(tmp_path, preset) as town:
        wallet = town.rich_wallet(tier)
        records = [town.record(Kind.PAY, debit=wallet, credit=SHOP, amount=200_000) for _ in range(3)]
        assert town.ask(*records) == [Result.CREATED, Result.CREATED, Result.EXCEEDS_DAY_LIMIT]
