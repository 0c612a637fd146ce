"""CSV without quotes is read without a parser: the same cells, rows and faults as the parser gives."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sycee.core.errors import UsageError
from sycee.personal import sealing
from sycee.programmes import definition, plain_csv, registration_rows
from sycee.programmes.registration_rows import Group, Reader, groups_of

PROGRAMME = definition.load("luohu-2020")
NOW_NS = PROGRAMME.registration.until_ns
HEAD = "document,phone,bank,registered_at"
ENDS = ("\n", "\n", "\n", "\r\n", "\n\n", "\n\r\n")
DOCUMENTS = (
    "1", "12345678901234567", "18446744073709551615", "18446744073709551616", "9999999999999999999", "0", "000", "007",
    " 12 ", "12 34", "4403-01", "-1", "+1", "12a", "\u0661\u0662", "44030119800101001X", "", " ", "1" * 129, "é" * 100,
    "1" * 60, "é" * 129,
)  # fmt: skip
PHONES = (
    "+8613900000001", "+12345678", "+1234567", "+123456789012345", "+1234567890123456", "+0123456789", "8613900000001",
    "+86 139 0000 0001", "0086 139 0000 0001", "139", "", " +8613900000001 ", "++12345678", "+1\u0663345678",
    "+123o5678",
)  # fmt: skip
BANKS = (PROGRAMME.operators[0].name, f" {PROGRAMME.operators[-1].name}\t", PROGRAMME.operators[0].title, "", "nowhere")
TIMES = ("2020-10-09T08:00:00", "2020-10-09 09:00", "2020-10-09T08:00:00+08:00", "", "9 October", "2020-10-09T08:00:0x")
LINES = ("1,2", "1,2,3,4,5", ",,,", " ", ",", "\f")


def content(seed: int, lines: int, *, is_ascii: bool) -> str:
    drawn = random.Random(seed)
    made = [HEAD + drawn.choice(("\n", "\r\n"))]
    for _ in range(lines):
        cells = [drawn.choice(each) for each in (DOCUMENTS, PHONES, BANKS, TIMES)]
        line = drawn.choice(LINES) if drawn.random() < 0.1 else ",".join(cells)
        made.append(line + drawn.choice(ENDS))
    if drawn.random() < 0.5:
        made[-1] = made[-1].rstrip("\r\n")
    text = "".join(made)
    return text.encode("ascii", "replace").decode() if is_ascii else text


def parsed(path: Path) -> list[Group]:
    with path.open("rb") as file:
        return list(registration_rows._parsed_groups(file, path.name, [], 1, 0))


def shown(groups: list[Group]) -> list[object]:
    """Return everything of groups as plain values, empty ones at the end left out."""
    cells = [(each.first_row, {name: list(texts) for name, texts in each.cells.items()}, each.wrong) for each in groups]
    return [each for each in cells if each[1]["document"]]


@pytest.mark.parametrize("is_ascii", [True, False])
def test_the_same_cells_rows_and_faults_as_with_a_parser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_ascii: bool
) -> None:
    monkeypatch.setattr(registration_rows, "GROUP_ROWS", 50)
    path = tmp_path / "people.csv"
    readers = [
        Reader(
            replace(
                PROGRAMME, registration_rules=replace(PROGRAMME.registration_rules, document_characters=characters)
            ),
            lambda text: sealing.phone(text, "+86"),
            NOW_NS,
        )
        for characters in (0, 1, 17, 40)
    ]
    for seed in range(20):
        monkeypatch.setattr(plain_csv, "READ_BYTES", 1 + 997 * (seed % 5))
        text = content(seed, 25 * (seed % 9), is_ascii=is_ascii)
        path.write_text(text, newline="", encoding="utf-8-sig" if seed % 2 else "utf-8")
        plain, expected = list(groups_of(path)), parsed(path)
        assert shown(plain) == shown(expected)
        assert all(isinstance(each, plain_csv.TextColumn) for group in plain for each in group.cells.values())
        for reader in readers:
            for one, other in zip(plain, expected, strict=False):
                found, wanted = (reader.read(each.cells, each.first_row, each.wrong) for each in (one, other))
                assert found.faults == wanted.faults
                for name in wanted.__slots__[:-1]:
                    assert np.array_equal(getattr(found, name), getattr(wanted, name)), name


@pytest.mark.parametrize("odd", ['"5"', '"a,b"', '"a\nb"', "5\r6", "a\0b"])
@pytest.mark.parametrize("at", [0, 49, 50, 120])
def test_from_the_group_with_a_quote_on_a_parser_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: str, at: int
) -> None:
    monkeypatch.setattr(registration_rows, "GROUP_ROWS", 50)
    lines = [f"{number},+8613900000001,north,\n" for number in range(1, 131)]
    lines[at] = f"{odd},,north,\n"
    path = tmp_path / "people.csv"
    path.write_text("".join([HEAD, "\n\n", *lines]), newline="")
    found = list(groups_of(path))
    assert shown(found) == shown(parsed(path))
    assert [isinstance(each.cells["document"], plain_csv.TextColumn) for each in found[: at // 50 + 1]] == [
        *[True] * (at // 50), False,
    ]  # fmt: skip


def test_an_error_in_a_later_group_names_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration_rows, "GROUP_ROWS", 2)
    path = tmp_path / "people.csv"
    for bad, message in (('"5,,,\n', "people.csv, line 7: unexpected end of data"), ("\udcff,,,\n", "not UTF-8")):
        text = f"{HEAD}\n\n1,,,\n2,,,\n3,,,\n4,,,\n{bad}"
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(UsageError, match=message):
            list(groups_of(path))
