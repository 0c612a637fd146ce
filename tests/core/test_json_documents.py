"""JSON from outside: one value with unique keys, limited in size and nesting; every error names file and line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sycee.core import json_documents
from sycee.core.errors import UsageError

pytestmark = pytest.mark.fast


def test_a_value_is_read_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    text = '{"winners": [1, 2.5, "\\u00a5", null, true]}'
    expected = {"winners": [1, 2.5, "¥", None, True]}
    for content in (text, text.encode(), b"\xef\xbb\xbf" + text.encode(), "\ufeff" + text):
        assert json_documents.parse(content, "it.json") == expected
    (tmp_path / "it.json").write_text(text)
    assert json_documents.read(tmp_path / "it.json", "receipt") == expected


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", r"it\.json:1: not JSON: Expecting value"),
        ('{"a": 1,\n "b": }', r"it\.json:2: not JSON: Expecting value, at column 7"),
        ("[1] 2", "not JSON: Extra data"),
        (b'{"a":\n"\xff"}', r"it\.json:2: byte 0xff is not UTF-8"),
        ('{"a": 1, "b": 2, "a": 3}', "the key 'a' is twice in one object"),
        ("[NaN]", "NaN is no number in JSON"),
        ("[-Infinity]", "-Infinity is no number in JSON"),
        ("9" * 5_000, r"it\.json: not JSON that can be read: Exceeds the limit"),
        (r'{"a": ["\ud800"]}', "a text has a NUL or a lone surrogate"),
        (r'{"\udfff": 1}', "a text has a NUL or a lone surrogate"),
        (b'["\xed\xa0\x80"]', "byte 0xed is not UTF-8"),
        (r'["a\u0000b"]', "a text has a NUL or a lone surrogate"),
        ("[9223372036854775808]", "an integer has more than 64 bits"),
        ("[-9223372036854775809]", "an integer has more than 64 bits"),
        ("[1e999]", "a number is too large"),
        ("[\n" + "[" * 65 + "]" * 65 + "]", r"it\.json:2: more than 64 levels of arrays and objects"),
        ("[" * 1_000_000, r"it\.json:1: more than 64 levels"),
        ('{"[[[":' * 50_000 + "1" + "}" * 50_000, "more than 64 levels"),
        ('{\n"a' + "[" * 100 + '": ' + "[" * 70 + "]" * 70 + "}", r"it\.json:2: more than 64 levels"),
    ],
)
def test_invalid_json_is_refused(content: str | bytes, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        json_documents.parse(content, "it.json")
    assert caught.value.hint


def test_what_can_be_stored_is_read() -> None:
    for text in (r'["\ud83d\ude00", "\u0001"]', "[9223372036854775807, -9223372036854775808, 1e300, true, null]"):
        assert json_documents.parse(text, "it.json") == json.loads(text)


def test_64_levels_are_read() -> None:
    json_documents.parse("[" * 64 + "1" + "]" * 64, "it.json")


def test_a_large_or_missing_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "it.json").write_text("[1, 2, 3]")
    with pytest.raises(UsageError, match=r"the receipt .* is larger than 8 bytes"):
        json_documents.read(tmp_path / "it.json", "receipt", 8)
    with pytest.raises(UsageError, match=r"the receipt .* cannot be read: there is no such file"):
        json_documents.read(tmp_path / "none.json", "receipt")
