"""Presets: shipped presets, invalid documents, rule sets of a class, and the reference page."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sycee.core import documents, ids, money
from sycee.core.documents import DocumentError
from sycee.core.errors import UsageError
from sycee.core.records.layout import RULE_SET_OPERATION, Kind, RuleFlag
from sycee.wallets import tiers
from sycee.wallets.tiers import LIMITS, Preset, Tier

pytestmark = pytest.mark.fast

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "wallets.md").read_text(encoding="utf-8")
SOURCE = (ROOT / "src" / "sycee" / "wallets" / "tiers.py").read_text(encoding="utf-8")
EXAMPLE = PAGE.split("```toml title=tiers.toml\n")[1].split("```")[0]
GALLERY = re.findall(r"```diff\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)


def changed(old: str, new: str) -> Preset:
    """Return the example of the page with one replacement."""
    assert old in EXAMPLE
    return tiers.define(documents.parse(EXAMPLE.replace(old, new, 1), "tiers.toml"))


# --- shipped presets ---


def test_presets_have_the_names_of_their_files() -> None:
    assert tiers.names() == ("ccb-2020", "digital-euro-2025", "ecny-2021", "enaira-2021", "sand-dollar-2020")
    assert [tiers.load(name).name for name in tiers.names()] == list(tiers.names())


@pytest.mark.parametrize(
    ("preset", "currency", "figures"),
    [
        (
            "ecny-2021",
            "CNY",
            {
                "class-4": "10,000 2,000 5,000 – 50,000",
                "class-3": "20,000 5,000 10,000 – –",
                "class-2": "500,000 50,000 100,000 – –",
                "class-1": "none none none – none",
            },
        ),
        (
            "ccb-2020",
            "CNY",
            {
                "class-1": "500,000 50,000 100,000 – 500,000",
                "class-2": "10,000 5,000 10,000 – 300,000",
                "class-3": "2,000 2,000 2,000 – 50,000",
                "class-4": "1,000 500 1,000 – 10,000",
            },
        ),
        (
            "enaira-2021",
            "NGN",
            {
                "tier-0": "120,000 – 20,000 – –",
                "tier-1": "300,000 – 50,000 – –",
                "tier-2": "500,000 – 200,000 – –",
                "tier-3": "5,000,000 – 500,000 – –",
                "merchant": "none – – – –",
            },
        ),
        ("sand-dollar-2020", "BSD", {"tier-1": "500 – – 1,500 –", "tier-2": "5,000 – – 10,000 –"}),
        ("digital-euro-2025", "EUR", {"person": "3,000 – – – –", "business": "– – – – –"}),
    ],
)
def test_figures_of_the_presets(preset: str, currency: str, figures: dict[str, str]) -> None:
    loaded = tiers.load(preset)
    assert loaded.currency.code == currency
    assert {tier.name: " ".join(shown(loaded, tier, limit) for limit in LIMITS) for tier in loaded.tiers} == figures


def test_unverified_figures_are_marked() -> None:
    marked = {(name, tier.name): tier.unverified for name in tiers.names() for tier in tiers.load(name).tiers}
    assert {key: each for key, each in marked.items() if each} == {
        ("ecny-2021", "class-4"): ("year",),
        ("ecny-2021", "class-3"): ("identity", "balance", "single", "day"),
        ("enaira-2021", "tier-3"): ("day",),
        ("digital-euro-2025", "person"): ("asked_until",),
    }
    assert [name for name in tiers.names() if tiers.load(name).undecided] == ["digital-euro-2025"]
    assert tiers.load("digital-euro-2025").tier("person").asked_minor == (50_000, 320_000)


def test_handling_of_excess_money() -> None:
    every = [(name, tier) for name in tiers.names() for tier in tiers.load(name).tiers]
    assert [(name, tier.name) for name, tier in every if tier.sweep] == [
        ("digital-euro-2025", "business"),
        ("enaira-2021", "merchant"),
    ]
    assert [(name, tier.name) for name, tier in every if tier.waterfall and tier.reverse_waterfall] == [
        ("digital-euro-2025", "person")
    ]
    assert all(tier.holder == "merchant" for _, tier in every if tier.sweep)
    # No source forbids payments between persons or cashing out.
    assert all(tier.person_to_person and tier.cash_out for _, tier in every)


# --- from files and by name ---


def test_a_path_and_a_name_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes((ROOT / "src" / "sycee" / "data" / "presets" / "ccb-2020.toml").read_bytes())
    assert tiers.load(path) == tiers.load(str(path)) == tiers.load("ccb-2020")


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(UsageError, match='there is no preset "ecny-2020"') as caught:
        tiers.load("ecny-2020")
    assert caught.value.hint == 'did you mean "ecny-2021"?'
    with pytest.raises(UsageError) as caught:
        tiers.load("zzz")
    assert "ccb-2020, digital-euro-2025" in str(caught.value.hint)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the TOML file .*none\.toml cannot be read: there is no such file"):
        tiers.load(tmp_path / "none.toml")


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(UsageError, match='ccb-2020 has no class "class-5"') as caught:
        tiers.load("ccb-2020").tier("class-5")
    assert caught.value.hint == "its classes: class-1, class-2, class-3, class-4"


# --- invalid documents ---


@pytest.mark.parametrize(
    ("old", "new", "message", "right"),
    [
        ('"city-2027"', '"City 2027"', 'tiers.toml:1: name: found "City 2027"', "small letters"),
        ('"EUR"', '"EURO"', "tiers.toml:3: currency:", "EUR"),
        ('"2027-01"', '"2027-13"', 'tiers.toml:4: as_of: found "2027-13"', 'such as "2021-06-11"'),
        ('"2027-01"', '"2027-02-30"', 'tiers.toml:4: as_of: found "2027-02-30"', 'such as "2021-06-11"'),
        ('"2027-01"', '"202701"', "tiers.toml:4: as_of:", 'such as "2021-06-11"'),
        ('as_of = "2027-01"\n', "", "as_of: missing", 'such as "2021-06-11"'),
        ('"light"', '"shop"', 'classes[2].name: "shop" is already used on line 7', "a different name"),
        ('holder = "person"', 'holder = "persn"', 'tiers.toml:8: classes[1].holder: found "persn"', '"person"'),
        ('"150.00"', "150.00", "tiers.toml:10: classes[1].balance: found 150.0", "in quotes"),
        (
            '"150.00"',
            '"0.00"',
            "tiers.toml:10: classes[1].balance: found 0.00",
            "or list it in `unlimited`",
        ),
        ('"150.00"', '"-1.00"', "tiers.toml:10: classes[1].balance: found -1.00", "above zero"),
        ('"150.00"', '"1.001"', "tiers.toml:10: classes[1].balance:", "in quotes"),
        ('day = "50.00"', 'day = "200.01"', "day is 200.01, but month permits only 200.00 (line 13)", "at most 200.00"),
        ('day = "50.00"\n', 'year = "60.00"\n', "month is 200.00, but year permits only 60.00", "at most 60.00"),
        ('["balance"]', '["holding"]', "unlimited", '"balance"'),
        ('["balance"]', '["single"]\nsingle = "5.00"', "single has a limit on line 22", "one of the two"),
        ("refund_days = 30", "refund_days = 49711", "refund_days", "from 0 to 49710"),
        ("sweep = true", "sweep = true\nwaterfall = true", "a balance without limit has no excess", "balance"),
        ("sweep = true", 'unverified = ["day"]', 'this class has no key "day"', "add day"),
        ('mark = "1"', 'mark = "3"', "mark", '"assumed"'),
        ('source = "Ordinance 12"\n', "", "source: missing", "source"),
        (
            'month = "200.00"',
            'asked_from = "151.00"\nasked_until = "300.00"',
            "151.00 to 300.00",
            "around the balance",
        ),
        ('month = "200.00"', 'asked_from = "100.00"', "asked_until: missing", "asked_until"),
        ("as_of", "undecidd = true\nas_of", "undecidd: unknown key", 'did you mean "undecided"'),
    ],
)
def test_invalid_documents_are_refused(old: str, new: str, message: str, right: str) -> None:
    with pytest.raises(DocumentError) as caught:
        changed(old, new)
    assert message in caught.value.message
    assert right in str(caught.value.hint)
    assert caught.value.line >= 1


def test_limits_may_be_equal_or_omitted() -> None:
    light = changed('single = "50.00"\n', "").tier("light")
    assert (light.single_max_minor, light.day_max_minor) == (0, 5_000)
    assert changed('day = "50.00"', 'day = "200.00"').tier("light").day_max_minor == 20_000


# --- rule sets of a class ---


def test_every_figure_of_a_class_is_in_its_rule_set() -> None:
    preset = changed("cash_out = false", "cash_out = false\nperson_to_person = false")
    records = tiers.tier_records(preset, first_rule_set=7, from_ns=10, until_ns=20, ids=[101, 102], effective_ns=15)
    rules = records.view(RULE_SET_OPERATION)
    assert records["kind"].tolist() == [Kind.DEFINE_RULE_SET] * 2
    assert [each.tolist() for each in (records["id_low"], rules["number"])] == [[101, 102], [7, 8]]
    assert rules["flags"].tolist() == [RuleFlag.NO_PERSONS | RuleFlag.NO_CASH_OUT, 0]
    expected = {
        "balance_max": [15_000, 0],
        "single_max": [5_000, 0],
        "day_max": [5_000, 0],
        "month_max": [20_000, 0],
        "year_max": [0, 0],
        "refund_reserve": [0, 20_000],
        "refund_window_s": [0, 30 * 86_400],
        "from_ns": [10, 10],
        "until_ns": [20, 20],
        "effective_ns": [15, 15],
        "return_low": [0, 0],
        "return_high": [0, 0],
    }
    assert {name: rules[name].tolist() for name in expected} == expected
    assert not rules["groups"].any()


def test_ids_may_be_an_array() -> None:
    preset = tiers.load("ccb-2020")
    made = ids.derive(b"tiers", "rule sets", 4, time_ms=1)
    records = tiers.tier_records(preset, first_rule_set=1, from_ns=0, until_ns=1, ids=made)
    assert np.array_equal(records["id_low"], made["low"])
    assert np.array_equal(records["id_high"], made["high"])


def test_rule_sets_must_fit() -> None:
    preset = tiers.load("ccb-2020")
    assert tiers.rule_set_numbers(preset, first_rule_set=65_532)["class-4"] == 65_535
    for first in (0, -1, 65_533):
        with pytest.raises(UsageError) as caught:
            tiers.rule_set_numbers(preset, first_rule_set=first)
        assert "1 to 65535" in str(caught.value.hint)
    with pytest.raises(UsageError, match="3 ids for the 4 classes of ccb-2020"):
        tiers.tier_records(preset, first_rule_set=1, from_ns=0, until_ns=1, ids=[1, 2, 3])


def test_a_proposal_can_be_tried_at_another_figure() -> None:
    preset = tiers.load("digital-euro-2025")
    person = preset.tier("person")
    assert person.asked_minor
    least, most = (replace(person, balance_max_minor=each) for each in person.asked_minor)
    tried = replace(preset, tiers=(least, most))
    records = tiers.tier_records(tried, first_rule_set=1, from_ns=0, until_ns=1, ids=[1, 2])
    assert records.view(RULE_SET_OPERATION)["balance_max"].tolist() == [50_000, 320_000]


# --- the page ---


def shown(preset: Preset, tier: Tier, limit: str) -> str:
    """Return a limit as the page shows it, without decimals that are zero."""
    maximum_minor = tier.maximum_minor(limit)
    if not maximum_minor:
        return "none" if limit in tier.unlimited else "–"
    return money.format(maximum_minor, preset.currency).removesuffix(".00")


def row(preset: Preset, tier: Tier) -> str:
    """Return the row of a class in the table of presets."""

    def cell(key: str, text: str) -> str:
        return f"{text} ?" if key in tier.unverified else text

    goes_on = [name.replace("_", " ") for name in ("waterfall", "reverse_waterfall", "sweep") if getattr(tier, name)]
    cells = [
        f"`{preset.name}`",
        preset.as_of + (", undecided" if preset.undecided else ""),
        preset.currency.code,
        f"`{tier.name}`",
        cell("identity", tier.identity or "–"),
        *(cell(limit, shown(preset, tier, limit)) for limit in LIMITS),
        ", ".join(goes_on) or "–",
        tier.mark,
        tier.source,
    ]
    return f"| {' | '.join(cells)} |"


def test_the_page_shows_every_preset() -> None:
    rows = [row(preset, tier) for preset in map(tiers.load, tiers.names()) for tier in preset.tiers]
    table = PAGE.split("## Presets\n")[1].split("\n## ")[0]
    assert [line for line in table.splitlines() if line.startswith("| `")] == rows


def test_every_key_is_documented() -> None:
    read = set(re.findall(r'table\.\w+\(\s*"(\w+)"', SOURCE)) | set(re.findall(r'\(table, "(\w+)"', SOURCE))
    read |= {*LIMITS, *tiers.PROPOSED_RANGE}
    written: set[str] = set()
    for name in tiers.names():
        document = tomllib.loads((ROOT / "src" / "sycee" / "data" / "presets" / f"{name}.toml").read_text())
        written |= set(document).union(*document["classes"])
    assert {"as_of", "unverified", "refund_days", "cash_out"} <= read
    assert written <= read
    keys = PAGE.split("## Every key\n")[1].split("\n## ")[0]
    documented = set(re.findall(r"`(?:\[\[)?(\w+)(?:\]\])?`", keys))
    assert read - documented == set()


def test_the_example_is_valid() -> None:
    assert [tier.name for tier in changed("", "").tiers] == ["light", "shop"]


@pytest.mark.parametrize(("diff", "message"), GALLERY)
def test_the_error_gallery_shows_the_actual_errors(diff: str, message: str) -> None:
    removed, added = ("\n".join(line[1:] for line in diff.splitlines() if line.startswith(sign)) for sign in ("-", "+"))
    with pytest.raises(DocumentError) as caught:
        changed(removed, added)
    assert f"error: {caught.value.message}\nhint: {caught.value.hint}\n" == message


def test_the_gallery_is_not_empty() -> None:
    assert len(GALLERY) == 4
