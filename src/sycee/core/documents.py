"""Read TOML documents so that every complaint names its place.

The standard library's `tomllib` gives the values; tree-sitter gives the place of every key. A document is taken apart
key by key through a `Table`, which checks the type of what it hands out; `finish` then complains about whatever nobody
asked for. Every error is a `DocumentError` that says file, line, key, the value found and what would be right::

    table = read(Path("programme.toml"))
    currency = table.text("currency")
    window = table.table("spending")
    until_ns = window.moment("until", zone)
    window.finish()
    table.finish()

Money is always text ("200.00"): a TOML float has already lost the amount, and a bare integer does not say whether it
counts yuan or fen.
"""

from __future__ import annotations

import codecs
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sycee.core import money, typos
from sycee.core.errors import SyceeError, UsageError
from sycee.core.input_files import read_bytes
from sycee.core.money import Currency

DOCUMENT_BYTES_MAX: Final = 64 << 20  # declarations of half a million entities; a parsed one needs ten times as much

Key = str | int
Keys = tuple[Key, ...]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENT: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d)(?::(\d\d))?")
_SYNTAX_PLACE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_MISSING: Final = object()  # marks a key without a default: None is a default like any other
_FOUND_CHARACTERS_MAX: Final = 120  # an error is read on a terminal; a longer value is cut with an ellipsis


class DocumentError(UsageError):
    """A document says something that cannot be.

    `file`, `line` (from 1; 0 where the file as a whole is meant), `key` (dotted path), `problem` (which shows the value
    found) and `hint` (what would be right) are there for programs; the message puts them together for people.
    """

    def __init__(self, file: str, line: int, key: str, problem: str, *, right: str, excerpt: str = "") -> None:
        place = f"{file}:{line}" if line else file
        message = f"{place}: {key}: {problem}" if key else f"{place}: {problem}"
        if excerpt:
            message += f"\n  {line:>4} | {excerpt}"
        super().__init__(message, hint=right)
        self.file = file
        self.line = line
        self.key = key
        self.problem = problem


def read(path: Path) -> Table:
    """Read the TOML file at `path`. DocumentError if it is not UTF-8 or not TOML, else errors as `content`."""
    return parse(content(path), str(path))


def content(path: Path) -> bytes:
    """Return the bytes of the TOML file at `path`. Errors as `input_files.read_bytes`."""
    return read_bytes(path, DOCUMENT_BYTES_MAX, "TOML file")


def parse(content: bytes | str, file: str) -> Table:
    """Parse TOML; `file` is the name that errors give. DocumentError if it is not UTF-8 or not TOML."""
    raw = content.encode() if isinstance(content, str) else content
    raw = raw.removeprefix(codecs.BOM_UTF8)  # some editors put a byte order mark first; TOML knows none
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        byte = f"0x{raw[error.start]:02x}"
        raise DocumentError(file, line, "", f"byte {byte} is not UTF-8", right="save the file as UTF-8") from error
    lines = text.splitlines()
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(file, lines, raw, str(error)) from error
    return Table(_Source(file, lines, _Places(raw)), (), values)


@dataclass(frozen=True)
class _Source:
    """The file behind a table: its name, its lines and the line (from 1) on which each key stands."""

    file: str
    lines: list[str]
    places: _Places

    def line(self, keys: Keys) -> int:
        """The line of a key; of the nearest table around it where the key itself is not written."""
        while keys:
            line = self.places.line(keys)
            if line:
                return line
            keys = keys[:-1]
        return 1 if self.lines else 0

    def error(self, keys: Keys, problem: str, right: str, key: str | None = None) -> DocumentError:
        """An error at the place of `keys`, about `key` if that is another one (it is not written, so has no place)."""
        line = self.line(keys)
        excerpt = self.lines[line - 1].rstrip() if 0 < line <= len(self.lines) else ""
        return DocumentError(self.file, line, key or dotted(keys), problem, right=right, excerpt=excerpt)


@dataclass
class Table:
    """One table of a document, taken apart key by key. Not for writing: values come out, nothing goes in."""

    _source: _Source
    keys: Keys
    _values: dict[str, Any]
    _taken: set[str] = field(default_factory=set)

    @property
    def file(self) -> str:
        """The name of the document's file, as errors give it."""
        return self._source.file

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def names(self) -> tuple[str, ...]:
        """The keys that are written here, in their order."""
        return tuple(self._values)

    def offer(self, key: str) -> None:
        """Make `key` known without reading it, so that it may be left out and a slip near it is explained."""
        self._taken.add(key)

    def line(self, key: str | None = None) -> int:
        """The line of `key` in the file, from 1; of the table itself without a key."""
        return self._source.line(self.keys if key is None else (*self.keys, key))

    def error(self, key: str | None, problem: str, *, right: str) -> DocumentError:
        """An error at `key` (at the table itself for None) to be raised by the caller, for what no type can say."""
        return self._source.error(self.keys if key is None else (*self.keys, key), problem, right)

    def text(self, key: str, default: str | None = None) -> str:
        """A text that is not empty. Without a default the key must be there (as in all readers below)."""
        value = self._take(key, "a text in double quotes", _MISSING if default is None else default)
        if not isinstance(value, str) or not value.strip():
            raise self._wrong(key, value, 'a text that is not empty, such as "a text"')
        return value

    def boolean(self, key: str, default: bool | None = None) -> bool:
        """Return true or false."""
        value = self._take(key, "true or false", _MISSING if default is None else default)
        if not isinstance(value, bool):
            raise self._wrong(key, value, "true or false, without quotes")
        return value

    def integer(
        self, key: str, default: int | None = None, *, least: int | None = None, most: int | None = None
    ) -> int:
        """A whole number within `least` and `most`, both included."""
        right = "a whole number" + _between(least, most)
        value = self._take(key, right, _MISSING if default is None else default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(key, value, right + ", without quotes or point")
        if (least is not None and value < least) or (most is not None and value > most):
            raise self._wrong(key, value, right)
        return value

    def integers(self, key: str, *, least: int | None = None) -> tuple[int, ...]:
        """A list of whole numbers, not empty, each at least `least`."""
        right = "a list of whole numbers" + _between(least, None)
        value = self._take(key, right, _MISSING)
        if not isinstance(value, list) or not value:
            raise self._wrong(key, value, right)
        for item in value:
            if not isinstance(item, int) or isinstance(item, bool) or (least is not None and item < least):
                raise self._wrong(key, item, right)
        return tuple(value)

    def money(self, key: str, currency: Currency) -> int:
        """An amount in `currency`, written as text in major units ("200.00"); gives minor units."""
        right = f'an amount of {currency.code} in quotes, such as "{money.format(20_000, currency)}"'
        value = self._take(key, right, _MISSING)
        if not isinstance(value, str):
            raise self._wrong(key, value, right)
        try:
            return money.parse(value, currency)
        except SyceeError as error:
            raise self.error(key, f"{found(value)} is no amount of {currency.code}: {error}", right=right) from error

    def moment(self, key: str, zone: ZoneInfo | None = None) -> int:
        """A moment in nanoseconds since 1970-01-01T00:00Z.

        Written as a TOML date-time with offset; given a `zone` also as a local date-time, or as the text
        "2020-10-18 24:00" where 24:00 is the end of that day, that is 00:00 of the next. A local time that the zone
        skips or has twice is an error: with an offset it is clear.
        """
        right = 'a moment such as 2020-10-12T18:00:00 (local time) or "2020-10-18 24:00" (the end of that day)'
        if zone is None:
            right = "a moment with its offset, such as 2020-10-12T18:00:00+08:00, without quotes"
        value = self._take(key, right, _MISSING)
        if isinstance(value, datetime):
            moment = value
        elif isinstance(value, str) and zone is not None:
            moment = self._moment_of_text(key, value, right)
        elif isinstance(value, date) and not isinstance(value, datetime):
            raise self._wrong(key, value, right + "; a date alone does not say when in the day")
        else:
            raise self._wrong(key, value, right)
        if moment.tzinfo is None:
            if zone is None:
                raise self._wrong(key, value, right)
            moment = self._in_zone(key, value, moment, zone)
        return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000

    def day(self, key: str) -> date:
        """A date alone, such as 2020-10-12."""
        value = self._take(key, "a date such as 2020-10-12", _MISSING)
        if not isinstance(value, date) or isinstance(value, datetime):
            raise self._wrong(key, value, "a date such as 2020-10-12, without quotes")
        return value

    def zone(self, key: str) -> ZoneInfo:
        """The name of a zone in the time-zone database."""
        value = self.text(key)
        try:
            return ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            from zoneinfo import available_timezones

            otherwise = 'a name of the time-zone database, such as "Asia/Shanghai"'
            right = typos.hint(value, available_timezones(), otherwise)
            raise self.error(key, f"{found(value)} is not a known time zone", right=right) from error

    def currency(self, key: str) -> Currency:
        """The ISO 4217 code of a currency."""
        value = self.text(key)
        try:
            return money.currency(value)
        except SyceeError as error:
            right = error.hint or 'the ISO 4217 code of a currency, such as "CNY"'
            raise self.error(key, f"{found(value)} is not a known currency", right=right) from error

    def choice(self, key: str, choices: Sequence[str], default: str | None = None) -> str:
        """A text out of `choices`."""
        value = self._take(key, _one_of(choices), _MISSING if default is None else default)
        if not isinstance(value, str) or value not in choices:
            near = typos.nearest(value, choices) if isinstance(value, str) else None
            raise self._wrong(key, value, _one_of(choices) + (f'; did you mean "{near}"?' if near else ""))
        return value

    def texts(
        self,
        key: str,
        *,
        choices: Sequence[str] | None = None,
        default: Sequence[str] | None = None,
        empty: bool = False,
    ) -> tuple[str, ...]:
        """A list of different texts, each out of `choices` if given; not an empty one, unless `empty` allows it."""
        right = "a list of texts" + (f", each {_one_of(choices)}" if choices else ', such as ["a", "b"]')
        if default is not None and key not in self._values:
            self.offer(key)
            return tuple(default)
        value = self._take(key, right, _MISSING)
        texts = isinstance(value, list) and all(isinstance(item, str) and item for item in value)
        if not texts or not (value or empty):
            raise self._wrong(key, value, right)
        for position, item in enumerate(value):
            if item in value[:position]:
                raise self.error(key, f"{found(item)} stands in the list twice", right="each text once")
            if choices is not None and item not in choices:
                near = typos.nearest(item, choices)
                raise self._wrong(key, item, _one_of(choices) + (f'; did you mean "{near}"?' if near else ""))
        return tuple(value)

    def table(self, key: str) -> Table:
        """The table [key], which must be there."""
        value = self._take(key, f"a table: [{dotted((*self.keys, key))}]", _MISSING)
        if not isinstance(value, dict):
            raise self._wrong(key, value, f"a table: [{dotted((*self.keys, key))}]")
        return Table(self._source, (*self.keys, key), value)

    def tables(self, key: str, *, empty: bool = False) -> tuple[Table, ...]:
        """The array of tables [[key]], at least one, unless `empty` allows `key = []`."""
        right = f"one or more tables: [[{dotted((*self.keys, key))}]]"
        value = self._take(key, right, _MISSING)
        tables = isinstance(value, list) and all(isinstance(item, dict) for item in value)
        if not tables or not (value or empty):
            raise self._wrong(key, value, right)
        return tuple(Table(self._source, (*self.keys, key, place), item) for place, item in enumerate(value))

    def finish(self) -> None:
        """Complain about the first key that nobody asked for, with the nearest name that is known here."""
        for key in self._values:
            if key in self._taken:
                continue
            # A key that was asked for but is not written is the likelier meaning of a slip.
            words = self._taken - self._values.keys()
            if typos.nearest(key, words) is None:
                words = self._taken
            right = typos.hint(key, words, f"known here: {', '.join(sorted(self._taken))}")
            raise self.error(key, f"unknown key, found {found(self._values[key])}", right=right)

    def _take(self, key: str, right: str, default: object) -> Any:
        self._taken.add(key)
        value = self._values.get(key, default)
        if value is _MISSING:
            near = typos.nearest(key, self._values.keys() - self._taken)
            where = f"[{dotted(self.keys)}]" if self.keys else "the document"
            missing = dotted((*self.keys, key))
            if near:
                problem, right = f'missing in {where}; found "{near}"', f'write "{key}": {right}'
                raise self._source.error((*self.keys, near), problem, right, missing)
            raise self._source.error(self.keys, f"missing in {where}", f"add {key} = {right}", missing)
        return value

    def _wrong(self, key: str, value: object, right: str) -> DocumentError:
        return self.error(key, f"found {found(value)}", right=right)

    def _moment_of_text(self, key: str, value: str, right: str) -> datetime:
        match = _MOMENT.fullmatch(value.strip())
        if match is None:
            raise self._wrong(key, value, right)
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
        end_of_day = (hour, minute, second) == (24, 0, 0)
        try:
            midnight = datetime.combine(date(year, month, day), time())
            if end_of_day:
                return midnight + timedelta(days=1)
            return datetime.combine(midnight, time(hour, minute, second))
        except (ValueError, OverflowError) as error:
            raise self.error(key, f"{found(value)} does not exist: {error}", right=right) from error

    def _in_zone(self, key: str, value: object, moment: datetime, zone: ZoneInfo) -> datetime:
        first, second = moment.replace(tzinfo=zone, fold=0), moment.replace(tzinfo=zone, fold=1)
        if first.utcoffset() == second.utcoffset():
            return first
        # Where the clocks go forward a local time is skipped: it does not survive the way to UTC and back.
        skipped = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment
        what = "does not exist" if skipped else "comes twice"
        right = f"give the offset: {moment.isoformat()}{_offset(first)} or {moment.isoformat()}{_offset(second)}"
        raise self.error(key, f"{found(value)} {what} in {zone.key}, where the clocks change", right=right)


def dotted(keys: Keys) -> str:
    """A path of keys as people write it: `packets[2].amount`, counting tables from 1."""
    path = ""
    for key in keys:
        if isinstance(key, int):
            path += f"[{key + 1}]"
        else:
            name = key if _BARE_KEY.fullmatch(key) else f'"{key}"'
            path += f".{name}" if path else name
    return path


def found(value: object) -> str:
    """A value as its document would show it, cut where it is long."""
    if isinstance(value, str):
        shown = '"' + value.encode("unicode_escape").decode().replace('"', '\\"') + '"' if value else '""'
    elif isinstance(value, bool):
        shown = "true" if value else "false"
    elif isinstance(value, dict):
        shown = "a table"
    elif isinstance(value, list):
        shown = "[" + ", ".join(found(item) for item in value) + "]"
    else:
        shown = value.isoformat() if isinstance(value, date | datetime | time) else str(value)
    return shown if len(shown) <= _FOUND_CHARACTERS_MAX else shown[: _FOUND_CHARACTERS_MAX - 1] + "…"


def shown_moment(moment_ns: int, zone: ZoneInfo) -> str:
    """A moment (nanoseconds since 1970-01-01T00:00Z) as people in `zone` read it, to the second, with its offset."""
    return (_EPOCH + timedelta(seconds=moment_ns // 1_000_000_000)).astimezone(zone).isoformat(sep=" ")


def _between(least: int | None, most: int | None) -> str:
    if least is not None and most is not None:
        return f" from {least} to {most}"
    if least is not None:
        return f" of at least {least}"
    return f" of at most {most}" if most is not None else ""


def _one_of(choices: Iterable[str]) -> str:
    return "one of " + ", ".join(f'"{choice}"' for choice in choices)


def _offset(moment: datetime) -> str:
    return moment.isoformat()[len(moment.replace(tzinfo=None).isoformat()) :]


# What a message of tomllib means to someone who has the file open, looked up by its beginning.
_SYNTAX_HINTS: Final = (
    ("Invalid value", 'write a value after "=": text in double quotes, a number, true, false or a date-time'),
    ("Cannot overwrite a value", "each key once: remove one of the two, or rename it"),
    ("Cannot declare", "each table once: put both parts under one heading"),
    ("Cannot mutate immutable", "an inline table is closed: add the key between its braces"),
    ("Expected '=' after a key", "write key = value; a text of several words needs double quotes around it"),
    ("Expected ']'", 'close the heading with "]"'),
    ("Expected newline", "one key and value a line; a date-time is 2020-10-12T18:00:00, a number has no leading zero"),
    ("Illegal character", "close the text with a double quote on the same line"),
    ("Unterminated", "close the text with a double quote"),
    ("Expected", "close what was opened: a quote, a bracket or a brace"),
    ("Unclosed array", 'close the list with "]" and put commas between its values'),
    ("Unclosed inline table", 'close the inline table with "}" on the same line'),
    ("Invalid initial character", "a key is letters, digits, - and _, or any text in double quotes"),
    ("Invalid date or datetime", "a date-time that exists, such as 2020-10-12T18:00:00"),
)


def _syntax_error(file: str, lines: list[str], raw: bytes, message: str) -> DocumentError:
    """A syntax error with its line. tomllib knows it, but for what is still open when the document ends."""
    match = _SYNTAX_PLACE.search(message)
    problem = message[: match.start()] if match else message
    line = int(match[1]) if match and match[1] else _first_syntax_error(raw)
    line = min(max(line, 1), max(len(lines), 1))
    excerpt = lines[line - 1].rstrip() if lines else ""
    right = next((hint for start, hint in _SYNTAX_HINTS if problem.startswith(start)), "valid TOML 1.0")
    return DocumentError(file, line, "", f"not TOML: {problem}", right=right, excerpt=excerpt)


def _tree(raw: bytes) -> Any:
    """The root of tree-sitter's tree. Imported here: most commands read no document."""
    import tree_sitter
    import tree_sitter_toml

    language = tree_sitter.Language(tree_sitter_toml.language())
    return tree_sitter.Parser(language).parse(raw).root_node


def _first_syntax_error(raw: bytes) -> int:
    waiting = [_tree(raw)]
    line = raw.count(b"\n") + 1
    while waiting:
        node = waiting.pop()
        if node.is_error or node.is_missing:
            line = min(line, node.start_point[0] + 1)
        elif node.has_error:
            waiting.extend(node.children)
    return line


class _Places:
    """The line of every key and table of a valid document, by its path.

    Found when it is asked for: headings first, and what stands under a heading when it is asked for itself. So a
    document of a hundred thousand lines that is right costs little more than its values.
    """

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._lines: dict[Keys, int] = {}
        self._unread: dict[Keys, Any] | None = None  # the tables that nobody asked into yet, once headings are known

    def line(self, keys: Keys) -> int:
        """The line of this path, from 1; 0 where nothing of the kind is written."""
        if self._unread is None:
            self._unread = {}
            self._headings(_tree(self._raw), self._unread)
        line = self._lines.get(keys)
        if line is None:
            for length in range(1, len(keys)):
                table = self._unread.pop(keys[:length], None)
                if table is not None:
                    self._pairs(keys[:length], table)
            line = self._lines.get(keys, 0)
        return line

    def _headings(self, root: Any, unread: dict[Keys, Any]) -> None:
        counts: dict[Keys, int] = {}  # how many tables each array of tables has so far
        self._pairs((), root)
        for table in root.children:
            if table.type not in ("table", "table_array_element"):
                continue
            names = _names(table.children[1])
            if table.type == "table":
                path = _resolved(names, counts)
            else:
                array = (*_resolved(names[:-1], counts), names[-1])
                counts[array] = counts.get(array, 0) + 1
                path = (*array, counts[array] - 1)
            for length in range(1, len(path) + 1):
                self._note(path[:length], table)
            unread[path] = table

    def _pairs(self, path: Keys, node: Any) -> None:
        for pair in node.children:
            if pair.type != "pair":
                continue
            names = _names(pair.children[0])
            for length in range(1, len(names) + 1):
                self._note((*path, *names[:length]), pair)
            self._value((*path, *names), pair.children[-1])

    def _value(self, path: Keys, node: Any) -> None:
        if node.type == "inline_table":
            self._pairs(path, node)
        elif node.type == "array":
            items = [child for child in node.children if child.type not in ("[", "]", ",", "comment")]
            for place, item in enumerate(items):
                self._note((*path, place), item)
                self._value((*path, place), item)

    def _note(self, path: Keys, node: Any) -> None:
        """A path stands where it is written first, whichever of its places is found first."""
        line = node.start_point[0] + 1
        if line < self._lines.get(path, line + 1):
            self._lines[path] = line


def _resolved(names: tuple[str, ...], counts: dict[Keys, int]) -> Keys:
    """A heading's path with the place of the newest table in every array of tables on the way."""
    full: Keys = ()
    for name in names:
        full = (*full, name)
        if full in counts:
            full = (*full, counts[full] - 1)
    return full


def _names(node: Any) -> tuple[str, ...]:
    """The names in a key: `a."b c".d` has three."""
    if node.type == "dotted_key":
        return tuple(name for child in node.children if child.type != "." for name in _names(child))
    written = node.text.decode()
    if node.type == "quoted_key":
        (name,) = tomllib.loads(f"{written} = 0")
        return (name,)
    return (written,)
