from __future__ import annotations

from pathlib import Path

import pytest

from sycee import data
from sycee.core.documents import DocumentError
from sycee.core.errors import UsageError
from sycee.programmes import definition

pytestmark = pytest.mark.fast

LUOHU = data.content("pilots", "luohu-2020").decode()


def test_luohu_has_the_published_figures() -> None:
    luohu = definition.load("luohu-2020")
    assert (luohu.name, luohu.currency.code, luohu.zone.key) == ("luohu-2020", "CNY", "Asia/Shanghai")
    assert luohu.budget_minor == 1_000_000_000
    assert [(each.count, each.amount_minor) for each in luohu.packets] == [(50_000, 20_000)]
    assert [each.name for each in luohu.operators] == ["ICBC", "ABC", "BOC", "CCB"]
    assert [(each.name, each.count) for each in luohu.merchants] == [("luohu-shops", 3_389)]
    figures = luohu.published
    values = {name: getattr(figures, name).value for name in figures.__slots__}
    assert values == {
        "registered": 1_913_847,
        "winners": 50_000,
        "claimed": 47_573,
        "payments": 62_788,
        "merchants": 3_389,
        "budget": 1_000_000_000,
        "spent_from_packets": 876_400_000,
        "spent_own": 90_100_000,
        "returned": 123_600_000,
    }


def test_luohu_ends_at_midnight_in_beijing() -> None:
    luohu = definition.load("luohu-2020")
    midnight_ns = 1_603_036_800 * 1_000_000_000  # 2020-10-19T00:00:00+08:00
    assert luohu.expires_ns == luohu.spending.until_ns == luohu.claim.until_ns == midnight_ns
    assert luohu.spending.until_ns - luohu.spending.from_ns == 6.25 * 86_400 * 1_000_000_000
    assert midnight_ns - 1 in luohu.spending
    assert midnight_ns not in luohu.spending


def test_a_registration_has_two_hours_for_the_check_and_six_for_the_code_without_other_keys(tmp_path: Path) -> None:
    luohu = definition.load("luohu-2020")
    hour_ns = 3_600 * 10**9
    assert luohu.registration_rules == definition.RegistrationRules(2 * hour_ns, 6 * hour_ns, luohu.expires_ns)
    path = tmp_path / "other.toml"
    keys = "check_minutes = 30\ncode_minutes = 1\nshred_at = 2020-12-31T00:00:00\n"
    path.write_text(LUOHU.replace("[registration]\n", f"[registration]\n{keys}"))
    minute_ns, new_year_ns = 60 * 10**9, 1_609_344_000 * 10**9
    assert definition.load(path).registration_rules == definition.RegistrationRules(
        30 * minute_ns, minute_ns, new_year_ns
    )


def test_every_pilot_loads_under_its_own_name() -> None:
    assert "luohu-2020" in data.names("pilots")
    for name in data.names("pilots"):
        assert definition.load(name).name == name


def test_a_path_and_a_name_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(LUOHU)
    assert definition.load(path) == definition.load(str(path)) == definition.load("luohu-2020")


def test_a_name_that_is_not_shipped() -> None:
    with pytest.raises(UsageError, match='there is no programme "luohu-2021"') as caught:
        definition.load("luohu-2021")
    assert caught.value.hint == 'did you mean "luohu-2020"?'


def test_two_packet_classes_make_one_budget(tmp_path: Path) -> None:
    text = LUOHU.replace("count = 50_000\n", "count = 49_000\n", 1).replace(
        "[registration]", '[[packets]]\nname = "large"\ncount = 1_000\namount = "300.00"\n\n[registration]'
    )
    text = text.replace('"10000000.00"', '"10100000.00"').replace('"1236000.00"', '"1336000.00"')
    path = tmp_path / "two.toml"
    path.write_text(text)
    assert definition.load(path).budget_minor == 1_010_000_000


# The gallery: changes of luohu-2020 and the resulting errors. Every message has file, line, key and value, every hint a
# correct value.
GALLERY = [
    (
        "a wrong sum shows both",
        ('amount = "10000000.00"', 'amount = "9000000.00"'),
        "budget.amount: the budget is 9,000,000.00, but the packets come to 50000 x 200.00 = 10,000,000.00",
        'amount = "10,000,000.00", or other packets',
    ),
    (
        "a sum beyond 64 bits",
        ('amount = "200.00"', 'amount = "90000000000000000.00"'),
        "more than 9223372036854775807 minor units",
        "fewer or smaller packets",
    ),
    ("an unknown key", ("[budget]", "[budgit]"), 'budget: missing in the document; found "budgit"', 'write "budget"'),
    (
        "a key too many",
        ("cash_out = false", "cash_out = false\ncash_outs = true"),
        "rules.cash_outs: unknown key, found true",
        'did you mean "cash_out"?',
    ),
    (
        "an unknown role",
        ("[published.claimed]", "[published.claimd]"),
        "published.claimd: unknown key, found a table",
        'did you mean "claimed"?',
    ),
    (
        "a key too few",
        ("divisible = true", "# none"),
        "rules.divisible: missing in [rules]",
        "add divisible = true or false",
    ),
    ("an unknown currency", ('"CNY"', '"CNX"'), 'currency: "CNX" is not a currency code', "CN"),
    (
        "an unknown zone",
        ('"Asia/Shanghai"', '"Asia/Shangai"'),
        'zone: "Asia/Shangai" is not the name of a time zone',
        'did you mean "Asia/Shanghai"?',
    ),
    ("a name in capitals", ('name = "luohu-2020"', 'name = "Luohu 2020"'), 'name: found "Luohu 2020"', "small letters"),
    ("an amount as a number", ('amount = "200.00"', "amount = 200.00"), "packets[1].amount: found 200.0", '"200.00"'),
    ("a part of a fen", ('amount = "200.00"', 'amount = "200.005"'), '"200.005" is no amount of CNY', '"200.00"'),
    ("nothing to hand out", ("count = 50_000", "count = 0"), "packets[1].count: found 0", "a whole number from 1 to"),
    (
        "an address that is none on the web",
        ('"https://it.cointelegraph.com/', '"javascript:it.cointelegraph.com/'),
        'sources[5].address: found "javascript:',
        '"https://…"',
    ),
    (
        "registration ends before it starts",
        ("until = 2020-10-11T08:00:00", "until = 2020-10-08T08:00:00"),
        "registration.until: ends 2020-10-08 08:00:00+08:00, not after it starts, 2020-10-09 00:00:00+08:00 (line",
        "a moment after `from`",
    ),
    (
        "no time for the check",
        ("[registration]\n", "[registration]\ncheck_minutes = 0\n"),
        "registration.check_minutes: found 0",
        "a whole number from 1 to 44640",
    ),
    (
        "shredding before the first claim",
        ("[registration]\n", "[registration]\nshred_at = 2020-10-12T17:00:00\n"),
        "registration.shred_at: shredding begins 2020-10-12 17:00:00+08:00, before the first claim, 2020-10-12",
        "no earlier than the first claim",
    ),
    (
        "the draw comes before registration closes",
        ("due = 2020-10-11T20:00:00", "due = 2020-10-11T07:00:00"),
        "draw.beacon.due: the draw is 2020-10-11 07:00:00+08:00, but registration closes 2020-10-11 08:00:00+08:00",
        "the list is frozen before anyone can know the beacon",
    ),
    (
        "claims start before the draw",
        ("[claim]\nfrom = 2020-10-12", "[claim]\nfrom = 2020-10-10"),
        "claim.from: claim starts 2020-10-10 18:00:00+08:00, before the draw, 2020-10-11 20:00:00+08:00 (line",
        "no earlier than the draw",
    ),
    (
        "claim after expiry",
        ('until = "2020-10-18 24:00"\nsource = "not', 'until = "2020-10-19 24:00"\nsource = "not'),
        "claim.until: claim ends 2020-10-20 00:00:00+08:00, after expiry, 2020-10-19 00:00:00+08:00 (line",
        "no later than expiry",
    ),
    (
        "spending after expiry",
        ('at = "2020-10-18 24:00"', 'at = "2020-10-18 23:00"'),
        "after expiry, 2020-10-18 23:00:00+08:00",
        "no later than expiry",
    ),
    (
        "spending ends before it starts",
        ('until = "2020-10-18 24:00"\nsource = "rayradar', 'until = "2020-10-11 24:00"\nsource = "rayradar'),
        "spending.until: ends 2020-10-12 00:00:00+08:00, not after it starts, 2020-10-12 18:00:00+08:00",
        "a moment after `from`",
    ),
    (
        "spending starts before the first claim",
        ("[spending]\nfrom = 2020-10-12T18", "[spending]\nfrom = 2020-10-12T17"),
        "spending.from: spending starts 2020-10-12 17:00:00+08:00, before the first claim, 2020-10-12 18:00:00+08:00",
        "no earlier than the first claim",
    ),
    ("a day that is not", ("2020-10-09T00:00:00", "2020-10-32T00:00:00"), "not TOML", "2020-10-12T18:00:00"),
    ("an hour that is not", ('at = "2020-10-18 24:00"', 'at = "2020-10-18 25:00"'), "does not exist", "24:00"),
    (
        "more winners than packets",
        ("winners = 50_000", "winners = 60_000"),
        "draw.strata[1].winners: the strata have 60000 winners, but there are 50000 packets",
        "50000 winners in all strata together",
    ),
    ("an unknown rule", ('"sycee.draw.v1"', '"sycee.draw.v2"'), 'draw.rule: found "sycee.draw.v2"', '"sycee.draw.v1"'),
    (
        "an unknown identity key",
        ('"phone"]', '"fone"]'),
        'registration.identity: found "fone"',
        'did you mean "phone"?',
    ),
    (
        "an unknown receiver",
        ('rest_to = "funder"', 'rest_to = "banks"'),
        'expiry.rest_to: found "banks"',
        'one of "funder"',
    ),
    ("a bank twice", ('name = "ABC"', 'name = "ICBC"'), '"ICBC" is the name on line', "each name in operators once"),
    (
        "a stratum that no file can name",
        ('name = "all"', 'name = "a,b"'),
        'draw.strata[1].name: found "a,b"',
        "small letters",
    ),
    ("an unknown mark", ('mark = "derived"', 'mark = "3"'), 'published.returned.mark: found "3"', '"assumed"'),
    (
        "a figure without a source",
        ('value = 62_788\nsource = "sz.gov.cn', 'value = 62_788\n# source = "sz.gov.cn'),
        "published.payments.source: missing in [published.payments]",
        "add source",
    ),
    (
        "a mark without a source",
        ('source = "not published', '# "not published'),
        "claim.source: missing in [claim]",
        "add",
    ),
    (
        "more claims than winners",
        ("value = 47_573", "value = 57_573"),
        "published.claimed.value: claimed is 57573, but winners is only 50000 (line",
        "at most",
    ),
    (
        "other merchants",
        ("value = 3_389", "value = 3_390"),
        "3390 is not the sum of the merchant groups = 3389",
        "value = 3389",
    ),
    (
        "a return that does not close",
        ('"1236000.00"', '"1236000.01"'),
        "published.returned.value: 1,236,000.01 is not budget less spent_from_packets = 1,236,000.00",
        'value = "1,236,000.00"',
    ),
]


@pytest.mark.parametrize(("what", "change", "message", "hint"), GALLERY, ids=[row[0] for row in GALLERY])
def test_gallery(tmp_path: Path, what: str, change: tuple[str, str], message: str, hint: str) -> None:
    old, new = change
    assert old in LUOHU, what
    text = LUOHU.replace(old, new, 1)
    path = tmp_path / "p.toml"
    path.write_text(text)
    with pytest.raises(DocumentError) as caught:
        definition.load(path)
    error = caught.value
    assert message in str(error)
    assert hint in str(error.hint)
    assert str(error).startswith(f"{path}:{error.line}: ")
    # The excerpt is the line with that number.
    assert str(error).splitlines()[-1] == f"  {error.line:>4} | {text.splitlines()[error.line - 1]}"


def test_the_line_is_the_right_one(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(LUOHU.replace('rest_to = "funder"', 'rest_to = "banks"'))
    with pytest.raises(DocumentError) as caught:
        definition.load(path)
    assert caught.value.line == 1 + LUOHU[: LUOHU.index("rest_to")].count("\n")
    assert caught.value.key == "expiry.rest_to"
