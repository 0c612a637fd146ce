from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from sycee import data
from sycee.core import documents
from sycee.core.documents import DocumentError
from sycee.core.errors import UsageError
from sycee.sandbox.city import definition

ROOT = Path(__file__).resolve().parents[3]
TOWN = data.content(definition.FOLDER, "market-town").decode()


def load(old: str, new: str) -> definition.CityFile:
    assert old in TOWN
    return definition.define(documents.parse(TOWN.replace(old, new, 1), "town.toml"), "")


@pytest.mark.parametrize(
    ("old", "new", "problem", "hint"),
    [
        ("commute_m", "comute_m", r'work\.commute_m: missing in \[work\]; found "comute_m"', "commute_m"),
        ("jobs_weight = 160", "job_weight = 160", r"zones\[1\]\.job_weight: unknown key", "jobs_weight"),
        ("persons = 120_000", "persons = 120_001", "is 120_001, but the zones have 120_000", "120_000"),
        ('source = "invented"\nmark = "assumed"\n\n[sex]', "\n[sex]", r"zones\[6\]\.source: missing", "source"),
        ('mark = "assumed"', 'mark = "guess"', 'found "guess"', "assumed"),
        ("from = 12, to = 17", "from = 13, to = 17", "found 13", "12: rows are in order of age"),
        ("to = 64\nppm = 600_000", "to = 60\nppm = 600_000", "found 65", "61"),
        ("ppm = 600_000", "ppm = 500_000", "add up to 900000", "1000000"),
        ("phone_ppm = 800_000", "phone_ppm = 950_000", "add up to 1030000", "at most 1000000"),
        ("basket_ppm = 190_000", "basket_ppm = 990_000", "the baskets add up to", "1000000"),
        ("count = 55_000", "count = 155_000", "155000 households for 117000 persons", "no more than persons"),
        ('"10500.00", "17500.00"', '"17500.00", "10500.00"', "not above zero and ascending", "poorest"),
        ('"10500.00", ', "", "has 4 amounts", "5 amounts of EUR"),
        ('year_mean = "20500.00"', 'year_mean = "30500.00"', "above the mean income", r"income\.year_mean"),
        ('name = "station"', 'name = "centre"', '"centre" is used twice', "once"),
        ('country = "none"', "", "country: missing", "country"),
    ],
)
def test_a_wrong_figure_is_an_error_with_a_hint(old: str, new: str, problem: str, hint: str) -> None:
    with pytest.raises(DocumentError, match=problem) as caught:
        load(old, new)
    assert re.search(hint, f"{caught.value.message} {caught.value.hint}")


def test_an_unknown_city_is_an_error_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="there is no city") as caught:
        definition.load("shenzen")
    assert caught.value.hint == 'did you mean "shenzhen"?'


def gallery() -> list[tuple[str, str]]:
    """(diff, message) in the order of the page."""
    page = (ROOT / "docs/reference/cities.md").read_text(encoding="utf-8")
    return re.findall(r"```diff\n(.*?)```\n\n```text\n(.*?)```", page, flags=re.DOTALL)


def test_the_error_gallery_shows_the_errors() -> None:
    assert len(gallery()) >= 8
    for diff, message in gallery():
        removed, added = ("\n".join(line[1:] for line in diff.splitlines() if line[0] == sign) for sign in "-+")
        with pytest.raises(UsageError) as caught:
            load(removed, added)
        assert message == f"error: {caught.value.message}\nhint: {caught.value.hint}\n"


def test_every_key_of_a_city_file_is_documented() -> None:
    def keys(values: Any) -> set[str]:
        if isinstance(values, list):
            return set().union(*(keys(each) for each in values))
        return set(values).union(*(keys(each) for each in values.values())) if isinstance(values, dict) else set()

    written = set().union(
        *(keys(tomllib.loads(data.content(definition.FOLDER, name).decode())) for name in data.names(definition.FOLDER))
    )
    page = (ROOT / "docs/reference/cities.md").read_text(encoding="utf-8")
    page = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    documented = set(re.findall(r"[a-z_0-9]+", " ".join(re.findall(r"`([^`]+)`", page))))
    source = Path(definition.__file__).read_text(encoding="utf-8")
    read = set(re.findall(r'(?:integer|integers|text|texts|table|tables|_ppm|_weight|_has)\((?:\w+, )?"(\w+)"', source))
    assert {"commute_m", "from", "zones", "day_persons"} <= read
    assert (written | read) - documented == set()
