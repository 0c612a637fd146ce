from __future__ import annotations

import json

import pytest

from sycee.core.terminal_text import printable, printable_json

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, with a\ttab", "plain, with a\ttab"),
        ("São Tomé, 深圳, 👍🏽, a\u200cb", "São Tomé, 深圳, 👍🏽, a\u200cb"),
        ("\x1b[31mRED\x1b[0m", r"\x1b[31mRED\x1b[0m"),
        ("\x9b31mRED", r"\x9b31mRED"),
        ("one\r\ntwo\x85three\u2028four", r"one\r\ntwo\x85three\u2028four"),
        ("\x00\x07\x7f", r"\x00\x07\x7f"),
        ("a\u202eb\u2066c", r"a\u202eb\u2066c"),
        ("\ud800\ufeff\ufffe\uffff", r"\ud800\ufeff\ufffe\uffff"),
    ],
)
def test_unprintable_characters_become_escapes(text: str, expected: str) -> None:
    assert printable(text) == expected
    assert printable(expected) == expected


def test_printable_json_is_the_same_value() -> None:
    value = {"name": "\x1b[31m\x9bRED\u202e\u2028\ufffe\ud800 São 深圳", "lines": ["one\ntwo"]}
    text = printable_json(json.dumps(value, indent=2, ensure_ascii=False))
    assert json.loads(text) == value
    assert "São 深圳" in text
    assert r"\u009bRED\u202e\u2028\ufffe\ud800" in text
    assert not set(text) & set("\x1b\x9b\u202e\u2028\ufffe\ud800")
