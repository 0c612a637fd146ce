from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from sycee.core import documents, money
from sycee.core.documents import DocumentError
from sycee.core.errors import UsageError
from sycee.core.toml_lines import KeyLines

pytestmark = pytest.mark.fast

BEIJING = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")
CNY = money.currency("CNY")


def table(text: str) -> documents.Table:
    return documents.parse(text, "a.toml")


def seconds(text: str, zone: ZoneInfo = BEIJING) -> int:
    return table(f"at = {text}").moment("at", zone) // 1_000_000_000


def test_every_key_has_its_line() -> None:
    document = table(
        'a = 1\n\n"b c" = 2\n[t.u]\nx.y = [\n 1,\n {z = 3},\n]\n'
        "[[l]]\nn = 1\n[l.sub]\nk = 1\n[[l]]\nn = 2\n[l.sub]\nk = 2\n"
    )
    assert (document.line("a"), document.line("b c"), document.line("t")) == (1, 3, 4)
    deep = document.table("t").table("u")
    assert (deep.line(), deep.line("x"), deep.table("x").line("y")) == (4, 5, 5)
    first, second = document.tables("l")
    assert (first.line(), first.line("n"), first.table("sub").line("k")) == (9, 10, 12)
    assert (second.line(), second.line("n"), second.table("sub").line(), second.table("sub").line("k")) == (
        13,
        14,
        15,
        16,
    )


def test_lines_do_not_depend_on_the_order_of_lookups() -> None:
    text = "a = [{ b = 1 },\n { b = 2 }]\n[t]\nx.y = 1\n[t.x.z]\nn = 1\n[[l]]\n[[l.m]]\nk = 1\n[[l.m]]\nk = 2\n"
    lines = {
        ("a", 0, "b"): 1, ("a", 1): 2, ("t", "x", "y"): 4, ("t", "x", "z", "n"): 6, ("l", 0): 7,
        ("l", 0, "m", 0, "k"): 9, ("l", 0, "m", 1): 10, ("l", 0, "m", 1, "k"): 11, ("l", 0, "none"): 0,
    }  # fmt: skip
    for order in (list(lines), list(lines)[::-1]):
        places = KeyLines(text.encode())
        assert {keys: places.line(keys) for keys in order} == lines
    for keys, line in lines.items():
        assert KeyLines(text.encode()).line(keys) == line


def test_paths_count_tables_from_one() -> None:
    assert documents.dotted(("packets", 1, "b c")) == 'packets[2]."b c"'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-10-12T18:00:00", 1_602_496_800),  # local time, in the zone given
        ("2020-10-12T18:00:00+08:00", 1_602_496_800),
        ("2020-10-12T10:00:00Z", 1_602_496_800),
        ('"2020-10-12 18:00"', 1_602_496_800),
        ('"2020-10-12 18:00:00"', 1_602_496_800),
        ('"2020-10-18 24:00"', 1_603_036_800),  # the end of that day
        ("2020-10-19T00:00:00+08:00", 1_603_036_800),
        ('"2020-12-31T24:00"', 1_609_430_400),  # the last moment of a year
    ],
)
def test_moments_in_every_notation(text: str, expected: int) -> None:
    assert seconds(text) == expected


def test_moments_keep_microseconds() -> None:
    assert table("at = 1970-01-01T00:00:00.000001Z").moment("at", BEIJING) == 1_000


def test_without_a_zone_a_moment_has_its_offset() -> None:
    assert table("at = 2020-10-12T18:00:00+08:00").moment("at") == 1_602_496_800 * 1_000_000_000
    for wrong in ("2020-10-12T18:00:00", '"2020-10-12 18:00"', "2020-10-12"):
        with pytest.raises(DocumentError) as caught:
            table(f"at = {wrong}").moment("at")
        assert "a moment with its offset" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "zone", "problem", "right"),
    [
        ("2020-03-29T02:30:00", BERLIN, "does not exist in Europe/Berlin", "2020-03-29T02:30:00+01:00"),
        ("2020-10-25T02:30:00", BERLIN, "exists twice in Europe/Berlin", "2020-10-25T02:30:00+02:00"),
        ("2020-10-12", BEIJING, "found 2020-10-12", "a date alone"),
        ('"2020-10-18 24:01"', BEIJING, "does not exist", "24:00"),
        ('"2020-02-30 24:00"', BEIJING, "does not exist", "24:00"),
        ('"9999-12-31 24:00"', BEIJING, "does not exist", "24:00"),
        ('"tomorrow"', BEIJING, 'found "tomorrow"', "2020-10-12T18:00:00"),
        ("1602496800", BEIJING, "found 1602496800", "2020-10-12T18:00:00"),
    ],
)
def test_invalid_moments_are_refused(text: str, zone: ZoneInfo, problem: str, right: str) -> None:
    with pytest.raises(DocumentError) as caught:
        seconds(text, zone)
    assert problem in caught.value.problem
    assert caught.value.hint is not None
    assert right in caught.value.hint
    assert caught.value.line == 1


def test_money_must_be_text() -> None:
    assert table('a = "200.00"').money("a", CNY) == 20_000
    for wrong in ("200.0", "200", '"2OO"', '"1.234"', "true"):
        with pytest.raises(DocumentError) as caught:
            table(f"a = {wrong}").money("a", CNY)
        assert wrong in caught.value.problem
        assert '"200.00"' in str(caught.value.hint)


def test_values_of_every_type_are_read() -> None:
    document = table('t = "x"\nb = true\ni = 3\nc = "red"\nl = ["a", "b"]\n')
    assert document.text("t") == "x"
    assert document.boolean("b") is True
    assert document.integer("i", least=3, most=3) == 3
    assert document.choice("c", ("red", "green")) == "red"
    assert document.texts("l") == ("a", "b")
    assert document.texts("left-out", default=()) == ()
    assert document.integer("left-out-too", 7) == 7
    document.offer("optional")
    document.finish()


@pytest.mark.parametrize(
    ("text", "read", "message", "hint"),
    [
        ("t = 1", lambda t: t.text("t"), "a.toml:1: t: found 1\n     1 | t = 1", "a text that is not empty"),
        ('t = " "', lambda t: t.text("t"), "found", "a text that is not empty"),
        ("\nb = 1", lambda t: t.boolean("b"), "a.toml:2: b: found 1", "true or false"),
        ("i = true", lambda t: t.integer("i"), "found true", "a whole number"),
        ("i = 0", lambda t: t.integer("i", least=1, most=9), "found 0", "from 1 to 9"),
        ("i = 10", lambda t: t.integer("i", most=9), "found 10", "at most 9"),
        ('c = "rad"', lambda t: t.choice("c", ("red", "blue")), 'found "rad"', 'did you mean "red"?'),
        ('c = "a\\nb"', lambda t: t.choice("c", ("red",)), 'found "a\\nb"', 'one of "red"'),
        ('l = ["a", "a"]', lambda t: t.texts("l"), '"a" is in the list twice', "once"),
        ('l = ["fone"]', lambda t: t.texts("l", choices=("phone",)), 'found "fone"', 'did you mean "phone"?'),
        ("l = []", lambda t: t.texts("l"), "found []", "a list of texts"),
        ("t = 1", lambda t: t.table("t"), "found 1", "[t]"),
        ("t = {}", lambda t: t.tables("t"), "found a table", "[[t]]"),
        ("a = 1", lambda t: t.text("title"), "title: missing in the document", "add title = "),
        ("a = 1", lambda t: t.table("t"), "t: missing in the document", "add a table: [t]"),
        ("a = 1", lambda t: t.tables("t"), "t: missing in the document", "add one or more tables: [[t]]"),
        ("a = 1", lambda t: t.zone("z"), "z: missing in the document", "add z = a name of the time-zone database"),
        ('z = ""', lambda t: t.zone("z"), "not the name of a time zone", "time-zone database"),
        ('titel = "x"', lambda t: t.text("title"), 'found "titel"', 'write "title"'),
        (
            'z = "Asia/Shangai"',
            lambda t: t.zone("z"),
            '"Asia/Shangai" is not the name of a time zone',
            '"Asia/Shanghai"',
        ),
        ('z = "../etc"', lambda t: t.zone("z"), "not the name of a time zone", "time-zone database"),
        ('c = "RMB"', lambda t: t.currency("c"), '"RMB" is not a currency code', "did you mean CNY?"),
        ("[a]\nx = 1\n", lambda t: t.table("a").finish(), "a.toml:2: a.x: unknown key, found 1", "allowed here"),
    ],
)
def test_errors_name_file_line_key_and_value(text: str, read: object, message: str, hint: str) -> None:
    assert callable(read)
    with pytest.raises(DocumentError) as caught:
        read(table(text))
    assert message in str(caught.value)
    assert hint in str(caught.value.hint)
    assert caught.value.exit_code == UsageError.exit_code


def test_an_unknown_key_suggests_a_missing_one() -> None:
    document = table('titel = "x"\nname = "n"')
    document.text("name")
    document.text("title", "default")
    with pytest.raises(DocumentError) as caught:
        document.finish()
    assert str(caught.value) == 'a.toml:1: titel: unknown key, found "x"\n     1 | titel = "x"'
    assert caught.value.hint == 'did you mean "title"?'


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        ("a = 1\nb = \nc = 3\n", 2, 'write a value after "="'),
        ("a = 1\n[t\nx = 1\n", 2, 'close the heading with "]"'),
        ('a = "x\nb = 2\n', 1, "double quote"),
        ("a = 1\na = 2\n", 2, "each key once"),
        ("a 1\n", 1, "key = value"),
        ("a = 2020-13-01\n", 1, "one key and value a line"),
        ("a = 1\nb = 2020-02-31T00:00:00\n", 2, "a date-time that exists"),
        ("a = 01\n", 1, "no leading zero"),
        ("x = {a = 1,}\n", 1, "a key is letters"),
        ("a = [1, 2\nb = 3\n", 2, 'close the list with "]"'),
        ("a = 1\nb = 'x", 2, "close what was opened"),
        ("[x]\n[x]\n", 2, "each table once"),
        ('a = 1\nb = """\nnever closed\n', 2, "close"),
    ],
)
def test_syntax_errors_have_line_text_and_advice(text: str, line: int, hint: str) -> None:
    with pytest.raises(DocumentError) as caught:
        table(text)
    assert caught.value.line == line
    assert str(caught.value).startswith(f"a.toml:{line}: not TOML: ")
    assert text.splitlines()[line - 1].rstrip() in str(caught.value)
    assert hint in str(caught.value.hint)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the TOML file .*none\.toml cannot be read: there is no such file"):
        documents.read(tmp_path / "none.toml")
    with (tmp_path / "huge.toml").open("wb") as file:
        file.truncate(8 << 30)
    with pytest.raises(UsageError, match="larger than 67,108,864 bytes"):
        documents.read(tmp_path / "huge.toml")
    path = tmp_path / "latin.toml"
    path.write_bytes(b'a = 1\nb = "\xfc"\n')
    with pytest.raises(DocumentError, match=":2: byte 0xfc is not UTF-8"):
        documents.read(path)


def test_an_empty_document() -> None:
    table("").finish()
    with pytest.raises(DocumentError, match="missing in the document"):
        table("").text("a")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\nb = [\n" + "[" * 100_000 + "]" * 100_000 + "]\n", 3),
        ("a = 1\nb = " + "{x = " * 20_000 + "1" + "}" * 20_000, 2),
        ("a = 1\n[" + ".".join(["x"] * 5_000) + "]\n", 2),
        ("a = '[[[[' # [[[[\nb = " + "[" * 65 + "]" * 65, 2),
    ],
)
def test_deep_nesting_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(DocumentError, match="more than 64 levels of lists and tables") as caught:
        table(text)
    assert caught.value.line == line
    assert caught.value.hint


def test_a_document_may_have_64_levels() -> None:
    document = table("a = " + "[" * 63 + "1" + "]" * 63)
    with pytest.raises(DocumentError, match=r"found \[\[\["):
        document.text("a")


def test_a_number_of_too_many_digits_is_refused_with_its_line() -> None:
    with pytest.raises(DocumentError, match="a number cannot be read") as caught:
        table("a = 1\nb = " + "1" * 5_000)
    assert caught.value.line == 2


def test_a_hexadecimal_number_of_any_length_can_be_shown() -> None:
    document = table("a = 0x" + "f" * 5_000)
    for read in (document.text, document.boolean, lambda key: document.integer(key, most=9)):
        with pytest.raises(DocumentError, match="found a number of 20,000 bits"):
            read("a")
    with pytest.raises(DocumentError, match="unknown key, found a number of 20,000 bits"):
        table("a = 0x" + "f" * 5_000).finish()


def test_a_text_with_a_lone_surrogate_is_refused_with_its_line() -> None:
    with pytest.raises(DocumentError, match="byte 0xed is not UTF-8") as caught:
        table('a = 1\nb = "\ud800"')
    assert caught.value.line == 2


def test_a_line_separator_inside_a_text_does_not_shift_the_excerpts() -> None:
    with pytest.raises(DocumentError) as caught:
        table('a = "x\u2028y"\nb = 1\n').text("b")
    assert str(caught.value) == "a.toml:2: b: found 1\n     2 | b = 1"
