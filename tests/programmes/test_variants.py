from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sycee.cli import main
from sycee.core import documents
from sycee.core.documents import DocumentError
from sycee.programmes import definition, variants
from sycee.programmes.published_results import Published

pytestmark = pytest.mark.fast

LUOHU = definition.load("luohu-2020")
HALF = """
rules.payment_min = "40.00"
packets.packet.amount = "100.00"
budget.amount = "5000000.00"
merchants.luohu-shops.chains = false
"""


def changed(content: str, only: set[str] | None = None) -> definition.Programme:
    return variants.over("luohu-2020", content, "half.toml", only=only).programme


def test_a_variant_changes_its_keys_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "half.toml"
    path.write_text(HALF.replace("packets.packet", f'packets."{LUOHU.packets[0].name}"'))
    found = variants.load("luohu-2020", path)
    assert found.name == "half"
    assert len(found.keys) == 4
    assert found.programme == dataclasses.replace(
        LUOHU,
        rules=dataclasses.replace(LUOHU.rules, payment_min_minor=4_000),
        packets=(dataclasses.replace(LUOHU.packets[0], amount_minor=10_000),),
        budget_minor=500_000_000,
        merchants=(dataclasses.replace(LUOHU.merchants[0], chains=False),),
        published=Published(),
    )


def test_headings_and_numbers_mean_the_same_as_dotted_keys() -> None:
    dotted = changed('rules.payment_min = "40.00"\nmerchants.1.count = 7')
    headed = changed('[merchants.luohu-shops]\ncount = 7\n[rules]\npayment_min = "40.00"')
    assert dotted == headed
    assert dotted.merchants[0].count == 7


def test_a_variant_without_keys_is_the_base() -> None:
    assert changed("") == LUOHU


def test_only_some_keys_are_used() -> None:
    content = 'rules.payment_min = "40.00"\nrules.per_payment_max = "50.00"\nmerchants.1.count = 7'
    found = variants.over("luohu-2020", content, "v.toml", only={"rules.per_payment_max"})
    assert found.keys == ("rules.per_payment_max",)
    assert found.programme.rules == dataclasses.replace(LUOHU.rules, per_payment_max_minor=5_000)
    assert found.programme.merchants == LUOHU.merchants


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        ('\nrules.payment_mim = "40.00"', r"half\.toml:2: rules\.payment_mim: unknown key", '"payment_min"?'),
        ('ruls.payment_min = "40.00"', r"half\.toml:1: ruls: unknown key", 'did you mean "rules"?'),
        ("merchants.luohu-shop.count = 1", r"half\.toml:1: merchants\.luohu-shop: merchants has no", '"luohu-shops"?'),
        ("merchants.2.count = 1", r"merchants\.2: merchants has no table", "one of luohu-shops"),
        ("rules.payment_min = 40", r"half\.toml:1: rules\.payment_min: found 40", "an amount of CNY in quotes"),
        ('budget.amount = "1.00"', r"half\.toml:1: budget\.amount: the budget is 1\.00", "10,000,000.00"),
        ("packets.1.count = 7", r"luohu-2020\.toml:\d+: budget\.amount", "; half.toml changes packets.1.count"),
        ("merchants.1.count = [1", r"half\.toml:1: not TOML", "close the list"),
    ],
)
def test_a_wrong_key_or_value_is_an_error_at_its_place(content: str, message: str, hint: str) -> None:
    with pytest.raises(DocumentError, match=message) as caught:
        changed(content)
    assert hint in (caught.value.hint or "")


keys = st.sampled_from("abc")
values = st.recursive(st.integers(0, 3), lambda inner: st.dictionaries(keys, inner, max_size=3), max_leaves=6)
tables = st.dictionaries(keys, values, max_size=3)


def toml(values: dict[str, object], path: str = "") -> str:
    lines = []
    for key, value in values.items():
        if isinstance(value, dict):
            lines.append(toml(value, f"{path}{key}."))
        else:
            lines.append(f"{path}{key} = {value}\n")
    return "".join(lines)


def flat(values: dict[str, object], path: str = "") -> dict[str, object]:
    made: dict[str, object] = {}
    for key, value in values.items():
        made |= flat(value, f"{path}{key}.") if isinstance(value, dict) else {f"{path}{key}": value}
    return made


@given(tables, tables)
def test_an_overlay_has_every_leaf_of_the_upper_document(base: dict[str, object], over: dict[str, object]) -> None:
    lower, upper = documents.parse(toml(base), "base"), documents.parse(toml(over), "over")
    found = documents.overlaid(lower, upper)
    leaves = set(documents.leaves(found))
    assert set(documents.leaves(upper)) == set(flat(over)) <= leaves
    kept = {
        key
        for key in flat(base)
        if not any(key == o or key.startswith(f"{o}.") or o.startswith(f"{key}.") for o in flat(over))
    }
    assert kept <= leaves <= set(flat(base)) | set(flat(over))
    assert documents.leaves(documents.overlaid(lower, upper, only=())) == documents.leaves(lower)
    assert set(documents.leaves(documents.overlaid(lower, upper, without="abc"))) == set(flat(over))


def test_the_command_checks_a_variant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "least.toml"
    path.write_text('rules.payment_min = "40.00"\n')
    base = tmp_path / "base.toml"
    from sycee import data

    base.write_bytes(data.content("pilots", "luohu-2020"))
    assert main(["draw", "check", str(base), "--variant", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "least.toml changes rules.payment_min" in shown
    assert "of less than 40.00 CNY passes a packet over" in shown


GRID = """
[amount]
"100" = { packets.packet.amount = "100.00" }
"200" = {}

[threshold]
none = {}
"40" = { rules.payment_min = "40.00" }
"""


def test_a_grid_has_all_combinations_with_the_budget_of_their_packets() -> None:
    found = variants.grid("luohu-2020", GRID, "grid.toml")
    assert [each.name for each in found] == [
        "amount 100, threshold none",
        "amount 100, threshold 40",
        "amount 200, threshold none",
        "amount 200, threshold 40",
    ]
    assert [each.programme.budget_minor for each in found] == [500_000_000] * 2 + [1_000_000_000] * 2
    assert [each.programme.rules.payment_min_minor for each in found] == [0, 4_000] * 2
    assert found[1].keys == ("packets.packet.amount", "rules.payment_min")
    assert found[2].programme == dataclasses.replace(LUOHU, published=Published())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GRID.replace("rules.payment_min", "rules.payment_mim"), "grid.toml:8: threshold.40.rules.payment_mim"),
        (GRID.replace("rules.payment_min", "packets.packet.amount"), "packets.packet.amount is a key of another axis"),
        (GRID.replace("none = {}", "none = 1"), "threshold.none"),
        ("", "0 combinations"),
        ("[a]\n" + "\n".join(f"v{at} = {{}}" for at in range(65)), "65 combinations"),
        ("[a]\n", "the axis has no value"),
    ],
)
def test_a_wrong_grid_is_an_error_at_its_line(content: str, message: str) -> None:
    with pytest.raises(DocumentError, match=message.replace(".", r"\.")):
        variants.grid("luohu-2020", content, "grid.toml")


def test_steps_add_key_by_key_and_join_keys_that_need_each_other() -> None:
    found = variants.steps("luohu-2020", HALF, "half.toml")
    assert [each.keys for each in found] == [
        ("rules.payment_min",),
        ("packets.packet.amount", "budget.amount"),
        ("merchants.luohu-shops.chains",),
    ]
    assert found[-1].programme == changed(HALF)
    assert found[0].programme == changed(HALF, {"rules.payment_min"})
    with pytest.raises(DocumentError, match="payment_mim"):
        variants.steps("luohu-2020", HALF.replace("payment_min", "payment_mim"), "half.toml")
