"""`sycee drop try`: a rehearsal, the commands that it suggests, and the mark on all that they write."""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet
from tests.archive.test_statements import pdf_texts
from tests.programmes.world import FILE

from sycee import cli
from sycee.core.marks import MARK, mark_of

NAME = "autumn-2026"
BANKS = ("north", "south")


def people(path: Path, count: int, *more: str) -> Path:
    rows = [f"4403000000{number:04},+8613900{number:06},{BANKS[number % 2]}" for number in range(count)]
    path.write_text("\n".join(["document,phone,bank", *rows, *more]) + "\n")
    return path


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A rehearsal in which 60 people have a packet: its folder, and what the command printed."""
    folder = tmp_path_factory.mktemp("tried")
    text = FILE.replace("count = 3", "count = 58").replace("winners = 5", "winners = 60").replace("160.00", "1260.00")
    (folder / "autumn.toml").write_text(text.replace("2026-11-14 24:00", "2026-11-12 24:00"))
    people(folder / "people.csv", 80)
    before, written = os.getcwd(), io.StringIO()  # noqa: PTH109 - os.chdir below returns to it
    os.chdir(folder)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.stdout", written)
            assert cli.main(["drop", "try", "autumn.toml", "people.csv", "--folder", "trial", "--seed", "3"]) == 0
    finally:
        os.chdir(before)
    return folder, written.getvalue()


@pytest.fixture
def trial(tried: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """What the command printed; the folder of the rehearsal is the current one."""
    monkeypatch.chdir(tried[0])
    return tried[1]


def test_people_claim_and_pay_over_days_in_many_shops(trial: str, sycee: Any) -> None:
    assert trial.splitlines()[0] == MARK
    rows = sycee("drop", "shops", "trial/bank", NAME, "--json").json()["rows"]
    states = Counter(row["state"] for row in rows)
    assert (states["joined"], states["declined"]) == (24, 4)
    kinds = {row["merchant"].split(", ")[1] for row in rows if row["state"] == "joined"}
    assert len(kinds) >= 5
    assert {row["operator"] for row in rows} == {2, 3}
    assert sycee("drop", "report", "trial/bank", NAME, "hours").code == 0
    text = Path("hours/hours.csv").read_text().splitlines()
    hours = list(csv.DictReader(text[1:]))
    assert len({row["from"][:10] for row in hours if int(row["claims"])}) >= 2
    assert sum(int(row["claims"]) > 0 for row in hours) >= 8
    assert len({row["from"][:10] for row in hours if int(row["payments"])}) >= 5
    figures = csv.DictReader(Path("hours/summary.csv").read_text().splitlines()[1:])
    summary = {row["figure"]: int(row["value"]) for row in figures}
    assert 40 <= summary["claimed"] < summary["members"] == 60
    assert summary["payments"] > summary["claimed"]
    assert summary["own_gross_minor"] > 0
    assert summary["spent_net_minor"] + summary["returned_minor"] == summary["dropped_minor"] == 1260_00
    assert len(re.findall(r"refused: \d+ × .+: [A-Z_]+", trial)) >= 2


def test_each_suggested_command_runs_and_is_marked(trial: str, sycee: Any) -> None:
    lines = trial.splitlines()
    suggested = [line.removeprefix("  sycee ").split() for line in lines[lines.index("next:") + 1 :]]
    assert len(suggested) == 7
    for words in suggested:
        found = sycee(*words)
        assert (found.code, found.err) == (0, ""), words
        assert len(found.out.splitlines()) > 1, words
        if words[0] != "draw":  # published files alone, which anybody may check
            assert found.out.splitlines()[0] == MARK, words


def test_every_page_and_file_begins_with_the_mark(trial: str, sycee: Any) -> None:
    hour = sycee("drop", "situations", "trial/bank", NAME, "--json").json()["hours"][1]
    wallet = sycee("drop", "shops", "trial/bank", NAME, "--json").json()["rows"][0]["wallet"]
    for words in (
        ("drop", "report", "trial/bank", NAME, "files"),
        ("drop", "situation", "trial/bank", NAME, "--output", "files/situation.html"),
        ("drop", "situations", "trial/bank", NAME, "--hour", hour, "--output", "files/hour.html"),
        ("drop", "winners", "trial/bank", NAME, "--output", "files/winners.csv"),
        ("statement", "trial/bank", wallet, "--csv", "files/statement.csv", "--pdf", "files/statement.pdf"),
        ("supply", "trial/bank", "--html", "files/supply.html"),
        ("export", "trial/bank", "--to", "archive"),
    ):
        assert sycee(*words).code == 0, words
    pages = [Path("trial/rehearsal.html"), *Path("files").glob("*.html")]
    assert len(pages) == 5
    for page in pages:
        body = re.sub(r"<[^>]+>", " ", page.read_text().split("<body>")[1])
        assert body.split("\n")[1].strip() == MARK, page
    tables = sorted(Path("files").glob("*.csv"))
    assert len(tables) >= 5
    for table in tables:
        assert table.read_text().startswith(f"# {MARK}\n"), table
    for file in [*Path("files").glob("*.parquet"), *Path("archive").rglob("*.parquet")]:
        assert parquet.read_schema(file).metadata[b"mark"] == MARK.encode(), file
    assert pdf_texts(Path("files/statement.pdf").read_bytes())[0].startswith(MARK)
    assert sycee("query", "archive", "SELECT 1 AS one", "--csv").out == f"# {MARK}\none\n1\n"
    assert sycee("statement", "trial/bank", wallet, "--json").json()["mark"] == MARK
    keys = ("--key", "trial/keys/north.pem")
    read = sycee("drop", "claims", "trial/bank", NAME, "files/winners.csv", *keys)  # no row names a wallet
    assert (read.code, read.out) == (0, f"{MARK}\n0 packets claimed, 0 refused\n")


def test_the_page_has_plots_and_published_figures(trial: str) -> None:
    text = Path("trial/rehearsal.html").read_text()
    for title in ("Claims and payments by hour", "Packets by number of payments", "attempts that the ledger refused"):
        assert title in text
    assert text.count("<svg ") >= 8  # a wide and a narrow one of each plot
    assert "47,573 of 50,000" in text  # a published figure with its source
    digest = re.search(r"digest (\w{64})", trial)
    assert digest is not None
    assert digest[1] in text


def test_a_bank_with_other_people_has_no_mark(tmp_path: Path) -> None:
    assert mark_of(tmp_path) == ""
    (tmp_path / "sycee.toml").write_text("rehearsal = true\n")
    assert mark_of(tmp_path) == ""
    (tmp_path / "sycee.toml").write_text("invented_people = true\n")
    assert mark_of(tmp_path) == MARK


# --- a smaller one: two shops of a file, five packets ---


SHOPS = "name,sector,bank,turnover\nTea house,restaurants,north,\nGrocer,food-shops,south,500000.00\n"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    limits = 'per_payment_max = "8.00"\npayment_min = "5.00"\n'
    text = FILE.replace("[rules]\n", f"[rules]\n{limits}")
    for until in ("2026-11-12", "2026-11-14"):
        text = text.replace(until, "2026-11-08")  # two days
    (tmp_path / "autumn.toml").write_text(text)
    rows = people(tmp_path / "people.csv", 40).read_text().splitlines()
    people(tmp_path / "people.csv", 40, rows[1], "1,2,north")  # the same person twice, and a phone that is none
    (tmp_path / "shops.csv").write_text(SHOPS)
    return tmp_path


def test_a_seed_repeats_a_rehearsal_and_another_one_differs(small: Path, sycee: Any) -> None:
    def tried(folder: str, seed: int) -> dict[str, Any]:
        words = ("drop", "try", "autumn.toml", "people.csv", "--shops", "shops.csv", "--folder", folder, "--json")
        found = sycee(*words, "--seed", seed)
        assert found.code == 0, found.err
        made: dict[str, Any] = found.json()
        return made

    one, same, other = tried("one", 1), tried("same", 1), tried("other", 2)
    assert one["mark"] == MARK
    assert (one["rows"], one["registered"], one["refused"]) == (42, 41, {"INVALID_PHONE": 1})
    assert (one["entries"], one["winners"], one["dropped_minor"], one["shops"]) == (40, 5, 160_00, 2)
    assert one["spent_minor"] + one["returned_minor"] == one["dropped_minor"]
    assert one["funder_at_the_end_minor"] == one["returned_minor"]
    assert one["problems"] == []
    assert one == same
    assert Path("one/rehearsal.html").read_bytes() == Path("same/rehearsal.html").read_bytes()
    for folder in ("one", "same"):
        assert sycee("drop", "report", f"{folder}/bank", NAME, f"{folder}/report").code == 0
    files = [path.name for path in Path("one/report").iterdir()]
    assert len(files) >= 7
    assert [
        name for name in files if Path("one/report", name).read_bytes() != Path("same/report", name).read_bytes()
    ] == []
    assert one["digest"] != other["digest"]
    assert Path("one/rehearsal.html").read_bytes() != Path("other/rehearsal.html").read_bytes()
    shops = sycee("drop", "shops", "one/bank", NAME, "--json").json()["rows"]
    assert {row["merchant"] for row in shops if row["state"] == "joined"} == {"Tea house", "Grocer"}
    refused = sycee("drop", "try", "autumn.toml", "people.csv", "--folder", "one")
    assert (refused.code, "one is not empty" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("option", "content", "part"),
    [
        ("--people", None, "nobody.csv cannot be read: there is no such file"),
        ("--people", "document,phone,place\n1,2,north\n", "'place'"),
        ("--shops", "name,sector,colour\n", "'colour'"),
        ("--shops", "sector\n", "no column 'name'"),
        ("--shops", "name,sector\n", "has 0 shops"),
        ("--shops", "name,sector\nTea house,sorcery\n", "row 1: there is no sector 'sorcery'"),
        ("--shops", "name,sector,group\nTea house,eating-out,city-shop\n", "row 1: there is no group 'city-shop'"),
        ("--shops", "name,sector,bank\nTea house,eating-out,west\n", "row 1: there is no bank 'west'"),
        ("--shops", "name,sector\nTea house,eating-out\nTea house,leisure\n", "names the shop 'Tea house' twice"),
    ],
)
def test_files_that_cannot_be_used_make_no_folder(
    small: Path, sycee: Any, option: str, content: str | None, part: str
) -> None:
    if content is not None:
        (small / "nobody.csv").write_text(content)
    people_file = "nobody.csv" if option == "--people" else "people.csv"
    more = ("--shops", "nobody.csv") if option == "--shops" else ()
    refused = sycee("drop", "try", "autumn.toml", people_file, "--folder", "trial", *more)
    assert (refused.code, part in refused.err) == (2, True), refused.err
    assert not (small / "trial").exists()


def test_rows_that_cannot_be_registered_are_named(small: Path, sycee: Any) -> None:
    (small / "nobody.csv").write_text("document,phone,bank\n1,2,north\n")
    refused = sycee("drop", "try", "autumn.toml", "nobody.csv", "--folder", "second", "--shops", "shops.csv")
    assert (refused.code, "row 1, phone: the phone is not" in refused.err) == (2, True)
    (small / "hostname").write_text("a machine\n")
    refused = sycee("drop", "try", "./hostname", "people.csv", "--folder", "second")
    assert (refused.code, "./hostname" in refused.err, "hostname.toml" in refused.err) == (2, True, False)
