"""`sycee export`, `sycee query` and `sycee statement`, on a finished pilot."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cli.calling import start

from sycee import Ledger
from sycee.cli.query import ROWS_SHOWN_MAX


@pytest.fixture(scope="module")
def archived(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of the finished pilot, outside of its folder."""
    folder = tmp_path_factory.mktemp("archive") / "one"
    process = start("export", str(finished), "--to", str(folder), "--json")
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert json.loads(out)["folder"] == str(folder)
    return folder


def shop_of(sycee: Any, archived: Path) -> str:
    """Return the account with the most lines among those paid from packets."""
    result = sycee(
        "query", archived, "SELECT account FROM balances WHERE kind = 'MERCHANT' ORDER BY lines DESC", "--json"
    )
    account: str = result.json()["rows"][0][0]
    return account


def test_export_continues_in_the_folder_of_the_ledger(sycee: Any, copy: Path) -> None:
    result = sycee("export", copy)
    assert result.code == 0, result.err
    assert f"{copy}/archive holds the ledger up to frame" in result.out
    assert "summed from the files, equal the ledger's; sum zero" in result.out
    again = sycee("export", copy, "--json").json()
    assert again["added"] == {"frames": 0, "operations": 0, "movements": 0}
    assert (copy / "archive" / "manifest.json").is_file()
    # An archive in the ledger's folder affects neither verification nor queries by that folder.
    assert sycee("verify", copy, "--json").json()["movements"] == sum(
        row[0] for row in sycee("query", copy, "SELECT count(*) FROM movements", "--json").json()["rows"]
    )


def test_export_works_while_another_process_owns_the_ledger(sycee: Any, copy: Path, tmp_path: Path) -> None:
    with Ledger.open(copy):
        assert sycee("export", copy, "--to", tmp_path / "archive").code == 0


def test_exports_that_cannot_be_done_are_usage_errors(sycee: Any, finished: Path, tmp_path: Path) -> None:
    result = sycee("export", tmp_path / "nowhere")
    assert (result.code, result.out) == (2, "")
    assert "holds no ledger" in result.err
    assert "--to is empty" in sycee("export", finished, "--to", "").err
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "one.txt").write_text("x")
    result = sycee("export", finished, "--to", tmp_path / "letters")
    assert result.code == 2
    assert "holds other files" in result.err


def test_a_query_as_table_csv_and_json(sycee: Any, archived: Path) -> None:
    sql = "SELECT purpose, count(*) AS lines, sum(amount) AS total FROM movements GROUP BY ALL ORDER BY ALL"
    found = sycee("query", archived, sql, "--json").json()
    assert found["columns"] == ["purpose", "lines", "total"]
    assert found["types"] == ["VARCHAR", "BIGINT", "HUGEINT"]
    assert all(isinstance(total, int) for _, _, total in found["rows"])
    result = sycee("query", archived, sql, "--csv")
    assert list(csv.reader(io.StringIO(result.out))) == [
        found["columns"], *([purpose, str(lines), str(total)] for purpose, lines, total in found["rows"]),
    ]  # fmt: skip
    assert result.err.startswith(f"as of frame {found['frame']}")
    table = sycee("query", archived, sql)
    assert table.out.splitlines()[0].split() == found["columns"]
    assert [line.split() for line in table.out.splitlines()[2:]] == [list(map(str, row)) for row in found["rows"]]


def test_a_query_limits_rows_and_escapes_control_characters(sycee: Any, archived: Path) -> None:
    result = sycee("query", archived, f"FROM range({ROWS_SHOWN_MAX + 1})")
    assert len(result.out.splitlines()) == ROWS_SHOWN_MAX + 2
    assert "the first 1,000 rows; --csv and --json print all" in result.err
    result = sycee("query", archived, 'SELECT 1 AS "[red]x", 2 AS "[/x]", 3 AS "\x1b[2J"')
    assert result.out.splitlines()[0].split() == ["[red]x", "[/x]", "\\x1b[2J"]
    result = sycee(
        "query", archived, "SELECT '[red]x[/]' AS a, chr(27) || '[2J' AS b, NULL AS c, repeat('y', 300) AS d"
    )
    assert result.out.splitlines()[2].split() == ["[red]x[/]", r"\x1b[2J", "y" * 300]


def test_without_a_query_the_views_are_shown(sycee: Any, archived: Path) -> None:
    result = sycee("query", archived)
    assert result.code == 0
    assert "balances: balance of every account" in result.out
    found = sycee("query", archived, "--json").json()
    assert found["currencies"][0] == {
        "name": "currency",
        "type": "VARCHAR",
        "meaning": "ISO 4217 code, or the number of the book",
    }


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["SELEC"], 2, "syntax error"),
        (["SELECT * FROM read_csv('/etc/passwd')"], 2, "Cannot access file"),
        (["COPY movements TO 'x'"], 2, "a query is one SELECT"),
        (["SELECT 1", "--csv", "--json"], 2, "exclude each other"),
    ],
)
def test_wrong_queries_have_exit_code_2(sycee: Any, archived: Path, words: list[str], code: int, says: str) -> None:
    result = sycee("query", archived, *words)
    assert (result.code, result.out) == (code, "")
    assert says in result.err
    assert "hint: " in result.err


def test_a_ledger_without_an_archive_has_the_hint_to_export(sycee: Any, finished: Path) -> None:
    result = sycee("query", finished, "SELECT 1")
    assert result.code == 2
    assert f"hint: `sycee export {finished}` creates it" in result.err


def test_a_statement_as_table_csv_pdf_and_json(sycee: Any, finished: Path, archived: Path, tmp_path: Path) -> None:
    shop = shop_of(sycee, archived)
    found = sycee("statement", finished, shop, "--year", 2020, "--json").json()
    assert found["closing_minor"] == found["opening_minor"] + sum(line["amount_minor"] for line in found["lines"])
    assert found["state_digest"] == sycee("verify", finished, "--json").json()["digest"]
    assert {line["purpose"] for line in found["lines"]} <= {"PAY_PURSE", "PAY_OWN"}
    csv_, pdf = tmp_path / "shop.csv", tmp_path / "shop.pdf"
    result = sycee("statement", finished, shop, "--year", 2020, "--csv", csv_, "--pdf", pdf, "--title", "Shop")
    assert (result.code, result.out) == (0, "")
    assert len(csv_.read_text().splitlines()) == 1 + 2 + len(found["lines"])
    assert pdf.read_bytes().startswith(b"%PDF")
    table = sycee("statement", finished, shop)
    assert f"pay purse{'':>3}" in table.out
    assert f"as of frame {found['frame']:,}" in table.out
    assert sycee("statement", finished, shop, "--from", "2021-01-01", "--json").json()["lines"] == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nobody"], "is not an id"),
        (["00000000-0000-0000-0000-000000000001"], "no account"),
        (["{shop}", "--year", "2020", "--from", "2020-01-01"], "a year excludes from and until"),
        (["{shop}", "--from", "october"], "is not a date"),
        (["{shop}", "--year", "20"], "year must be an integer from 1678 to 2260; got 20"),
        (["{shop}", "--title", "x"], "--pdf is missing"),
        (["{shop}", "--pdf", "{folder}"], "is a folder"),
        (["{shop}", "--csv", "{folder}/there/x.csv"], "its folder does not exist"),
    ],
)
def test_wrong_arguments_of_statement_are_usage_errors(
    sycee: Any, finished: Path, archived: Path, tmp_path: Path, words: list[str], says: str
) -> None:
    shop = shop_of(sycee, archived)
    result = sycee("statement", finished, *(word.format(shop=shop, folder=tmp_path) for word in words))
    assert (result.code, result.out) == (2, "")
    assert says in result.err


def test_no_other_command_imports_what_archives_need() -> None:
    script = (
        "import sys; from sycee.cli import main; main(['--help']); "
        "import sycee.cli.verify, sycee.cli.snapshot, sycee.sandbox.pilot, sycee.sequencer.embedded; "
        "print(*({'duckdb', 'pyarrow', 'reportlab'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""
