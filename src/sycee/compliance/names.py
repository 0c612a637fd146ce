"""Names of parties, compared however they are written.

Two names are equal if they have the same letters after normalisation: wide and narrow forms (NFKC), letters of other
alphabets that look alike (Unicode's confusables), accents, case, punctuation and blanks do not matter, nor does the
legal form ("Ltd", "GmbH"). Names that differ by a typing error, by the order or by further words, or that sound alike
in two scripts, are similar: they may name one party, and a person decides.

A code, such as a Legal Entity Identifier or `register:number`, equals only the same code.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Final, NamedTuple

from sycee.core.extras import extra

with extra("compliance"):
    from anyascii import anyascii
    from cleanco import countrysources, typesources
    from confusable_homoglyphs.confusables import confusables_data
    from rapidfuzz import process
    from rapidfuzz.distance import OSA

Words = tuple[str, ...]

NAMES_CACHED_MAX: Final = 100_000  # the last names that were normalised
LOOKUPS_CACHED_MAX: Final = 20_000  # the last names that were looked up in one index
TYPED_LETTERS_MIN: Final = 5  # a shorter word distinguishes names, unless other words are equal
LONG_LETTERS_MIN: Final = 9  # a word of this length may have two typing errors, a shorter one has one
ATTACHED_LETTERS_MIN: Final = 5  # of a name that begins or ends a longer word
PART_LETTERS_MIN: Final = 3  # of the first words of a name that stand for the whole

SPELLED: Final = "is spelled nearly as"
REORDERED: Final = "has, in another order, the words of"
CONTAINS: Final = "contains"
CONTAINS_NEARLY: Final = "nearly contains"
PART: Final = "is a part of"
READS: Final = "reads like"

# Characters that are written without blanks: ideographs and kana. Each counts as a word.
_UNSPACED: Final = "\u3005\u3007\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
_WORD: Final = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_RUN: Final = re.compile(r"[^\W\d_]+|\d+")
_NUMBERED: Final = re.compile(r"[^\W\d_]{2}\d|\d[^\W\d_]{2}")
_APOSTROPHES: Final = dict.fromkeys(map(ord, "'`\u2018\u2019\u02bc\u2032"))
_BLANK_LETTERS: Final = dict.fromkeys(map(ord, "\u115f\u1160\u3164\uffa0"))  # letters without a shape
_CODE: Final = re.compile(r"\s*([A-Za-z][\w .-]{0,30}?)\s*:\s*([A-Za-z0-9][A-Za-z0-9 ./-]*)\s*")
_LEI: Final = re.compile(r"(?:LEI[ .:-]*)?([A-Z0-9]{18}[0-9]{2})")
_LEI_REMAINDER: Final = 1  # of a valid identifier, by ISO 7064 (MOD 97-10)
_ALPHANUMERIC: Final = re.compile("[^a-z0-9]+")
# Characters that show one Latin letter, by their Unicode names. NFKC and the table of confusables do not have them.
_SHOWN_LETTER: Final = re.compile(
    r"(?:(?:CROSSED )?NEGATIVE (?:CIRCLED|SQUARED) LATIN CAPITAL LETTER|SQUARED LATIN SMALL LETTER"
    r"|REGIONAL INDICATOR SYMBOL LETTER|LATIN LETTER SMALL CAPITAL) ([A-Z])"
)
_OVERRIDES: Final = frozenset("\u202d\u202e")  # they show the following characters in another order
# The first words of the Unicode names of letters that one word may have beside Latin ones: of the recommended alphabets
# all but Cyrillic and Greek (UTS 39, "Moderately Restrictive").
_BESIDE_LATIN: Final = re.compile(
    "LATIN|MODIFIER|HANGUL|BOPOMOFO|THAI|LAO|KHMER|MYANMAR|ARABIC|HEBREW|DEVANAGARI|BENGALI|GUJARATI|GURMUKHI|KANNADA"
    "|MALAYALAM|ORIYA|SINHALA|TAMIL|TELUGU|TIBETAN|GEORGIAN|ARMENIAN|ETHIOPIC|THAANA"
)
# Letters of ASCII, and digits that look like them or are written for them.
_ALIKE: Final = str.maketrans({"i": "l", "1": "l", "0": "o", "3": "e", "5": "s"})
_ALIKE_LETTERS: Final = str.maketrans({"i": "l"})


def code(text: str) -> str:
    """Return an identifier in the form in which codes are compared, `register:NUMBER`; "" if the text is a name.

    A code is a Legal Entity Identifier with valid check digits, or a register, a colon and a number.
    """
    upper = text.strip().upper()
    if (found := _LEI.fullmatch(upper)) and int(
        "".join(str(int(each, 36)) for each in found[1])
    ) % 97 == _LEI_REMAINDER:
        return f"lei:{found[1]}"
    written = _CODE.fullmatch(text)
    if written is None or not any(each.isdigit() for each in written[2]):
        return ""
    return f"{written[1].casefold()}:{_ALPHANUMERIC.sub('', written[2].casefold()).upper()}"


def are_equal(one: str, other: str) -> bool:
    """Return whether two names are equal."""
    return not set(_wholes(one)).isdisjoint(filter(None, _wholes(other)))


@lru_cache(maxsize=NAMES_CACHED_MAX)
def words(name: str) -> Words:
    """Return the normalised words of a name, without its legal form."""
    return _without_legal_form(_split(name))


@lru_cache(maxsize=NAMES_CACHED_MAX)
def readings(name: str) -> tuple[Words, ...]:
    """Return the words of a name as other readers see or hear them; nothing for a name in ASCII.

    First every letter as a capital, because small letters may look like another one. Then in Latin letters by sound.
    """
    if name.isascii():
        return ()
    plain = _without_legal_form(_split(name, lookalikes=False))
    heard = [_ALPHANUMERIC.sub("", anyascii(each).casefold()) for each in plain]
    found = (_without_legal_form(_split(name.upper())), tuple([each for each in heard if each]))
    return tuple(dict.fromkeys(each for each in found if each != words(name)))


def without_numbers_attached(name: str) -> tuple[Words, ...]:
    """Return the words of a name with a blank between letters and digits; nothing without two letters beside one."""
    own = words(name)
    if not any(map(_NUMBERED.search, own)):
        return ()
    return (_without_legal_form(tuple([run for each in own for run in _RUN.findall(each)])),)


@lru_cache(maxsize=NAMES_CACHED_MAX)
def is_unreadable(name: str) -> bool:
    """Return whether a name cannot be compared with others, so that it may be any of them.

    It has no letter and no digit, or its characters are shown in another order, or one of its words has letters of two
    alphabets, not all of which can be replaced by the Latin ones that they look like.
    """
    read = words(name)
    if not read or not _OVERRIDES.isdisjoint(name):
        return True
    return not all(map(str.isascii, read)) and any(map(_mixes_alphabets, _split(name, lookalikes=False)))


def _mixes_alphabets(word: str) -> bool:
    alphabets = {unicodedata.name(each, "").partition(" ")[0] for each in word if each.isalpha()}
    return len(alphabets) > 1 and not all(map(_BESIDE_LATIN.fullmatch, alphabets))


def joined(parts: Sequence[str]) -> str:
    """Return words as one text. Two numbers keep a blank between them: "1 12" is not "11 2"."""
    text = "".join(parts)
    if text.isalpha():
        return text
    text = ""
    for each in parts:
        text = f"{text} {each}" if text and text[-1].isdigit() and each[0].isdigit() else text + each
    return text


def folded(word: str) -> str:
    """Return a word with one letter for i and l; and for 0, 1, 3 and 5 beside letters."""
    table = _ALIKE_LETTERS if word.isalpha() else _ALIKE if any(map(str.isalpha, word)) else None
    return word if table is None else word.translate(table)


@lru_cache(maxsize=NAMES_CACHED_MAX)
def alike(word: str) -> str:
    """Return a word in the form in which names that look alike in one alphabet are equal: with m for rn, too."""
    return folded(word).replace("rn", "m").replace("vv", "w")


def typing_errors_max(one: str, other: str) -> int:
    """Return how many typing errors two words may differ by: numbers and single letters by none."""
    if not (one.isalpha() and other.isalpha()) or min(len(one), len(other)) < 2:
        return 0
    return 2 if max(len(one), len(other)) >= LONG_LETTERS_MIN else 1


def is_long(whole: str) -> bool:
    """Return whether a name, without blanks, is similar to one that differs in a letter and in its blanks."""
    return whole.isalpha() and len(whole) >= LONG_LETTERS_MIN


def are_typed(wanted: Sequence[str], written: Sequence[str]) -> bool:
    """Return whether words that are each alike, or differ by typing errors, are similar as a whole.

    A word of fewer than `TYPED_LETTERS_MIN` letters may differ if it is the only one, and the others have ≥ 4 letters.
    """
    short = equal = 0
    for one, other in zip(wanted, written, strict=True):
        if alike(one) == alike(other):
            equal += len(one)
        elif max(len(one), len(other)) < TYPED_LETTERS_MIN:
            short += 1
    return short == 0 or (short == 1 and equal >= TYPED_LETTERS_MIN - 1)


def unordered(parts: Words) -> Words:
    """Return the words of a name in alphabetical order, as `alike`, without those that are legal forms."""
    last, _, _ = _legal_forms()
    return tuple(sorted(alike(each) for each in parts if each not in last))


class Match(NamedTuple):
    """A name that equals another, or is similar to it: `how` completes "X … NAME", and is empty for equal names."""

    name: str
    how: str = ""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One name of an index, in one of its forms."""

    key: int
    name: str
    words: Words = ()


class NameIndex:
    """Names, each with a key, which are found by equal and by similar names.

    The cost of a look-up grows with the words of the name and of all names in the index, and is paid once for a name.
    """

    def __init__(self, names: Iterable[tuple[int, str]]) -> None:
        self._equal: dict[str, list[_Entry]] = {}
        self._whole: dict[str, list[_Entry]] = {}
        self._parts: dict[str, list[_Entry]] = {}
        self._unordered: dict[Words, list[_Entry]] = {}
        self._first: dict[str, list[_Entry]] = {}
        for number, name in names:
            for whole in filter(None, _wholes(name)):
                self._equal.setdefault(whole, []).append(_Entry(number, name))
            if not code(name):
                for form in (words(name), *readings(name)):
                    self._add(_Entry(number, name, form))
        listed = {word for entries in self._whole.values() for each in entries for word in each.words}
        self._vocabulary = sorted(each for each in listed if each.isalpha() and len(each) > 1)
        self._folded = [folded(each) for each in self._vocabulary]
        self._alike = [alike(each) for each in self._vocabulary]
        self._long = [each for each in self._whole if is_long(each)]
        self._letters_max = max(map(len, self._whole), default=0)
        # The letters at which the name of a row may begin within another name.
        self._beginnings = {each[:2] for each in self._whole}
        self._close_to = lru_cache(maxsize=LOOKUPS_CACHED_MAX)(self._close_words)
        self._beginning_with = lru_cache(maxsize=LOOKUPS_CACHED_MAX)(self._entries_beginning_with)
        self.find = lru_cache(maxsize=LOOKUPS_CACHED_MAX)(self._find)

    def _add(self, entry: _Entry) -> None:
        own = tuple(map(alike, entry.words))
        whole = joined(own)
        if len(whole) < 2:  # every name contains single letters
            return
        self._whole.setdefault(whole, []).append(entry)
        for end in range((len(own) + 1) // 2, len(own)):
            part = joined(own[:end])
            if len(part) >= PART_LETTERS_MIN or not part.isascii():
                self._parts.setdefault(part, []).append(entry)
        if bag := unordered(entry.words):
            self._unordered.setdefault(bag, []).append(entry)
        for word in {entry.words[0], own[0]}:
            self._first.setdefault(word, []).append(entry)

    def _find(self, name: str) -> Mapping[int, Match]:
        """Return the keys of equal and similar names, each with its best match."""
        found: dict[int, Match] = {}
        for whole in _wholes(name):
            for entry in self._equal.get(whole, ()):
                found.setdefault(entry.key, Match(entry.name))
        own = words(name)
        for how, entry in self._similar(own):
            found.setdefault(entry.key, Match(entry.name, how))
        for reading in (*readings(name), *without_numbers_attached(name)):
            for _, entry in self._similar(reading):
                found.setdefault(entry.key, Match(entry.name, READS))
        return found

    def _similar(self, own: Words) -> Iterator[tuple[str, _Entry]]:
        """Yield the entries whose name is similar, the most similar first."""
        if not own:
            return
        seen = tuple(map(alike, own))
        whole = joined(seen)
        yield from ((SPELLED, each) for each in self._whole.get(whole, ()))
        if is_long(whole):
            near = process.extract(whole, self._long, scorer=OSA.distance, score_cutoff=1, limit=None)
            of_near = [entry for each, _, _ in near for entry in self._whole[each]]
            yield from ((SPELLED, each) for each in of_near if len(each.words) != len(own))
        starts = [start for start, word in enumerate(own) if self._beginning_with(word)]
        typed = [each for start in starts for each in self._typed(own[start:])]
        yield from ((SPELLED, each) for each in typed if len(each.words) == len(own))
        yield from ((REORDERED, each) for each in self._unordered.get(unordered(own), ()))
        for start in range(len(own)):
            if joined(seen[start : start + 2])[:2] not in self._beginnings:
                continue
            for end in range(start + 1, len(own) + 1):
                run = joined(seen[start:end])
                if len(run) > self._letters_max:
                    break
                yield from ((CONTAINS, each) for each in self._whole.get(run, ()))
        for word in seen:
            for size in range(ATTACHED_LETTERS_MIN, len(word)):
                for part in (word[:size], word[-size:]):
                    if part.isalpha():
                        yield from ((CONTAINS, each) for each in self._whole.get(part, ()))
        yield from ((CONTAINS_NEARLY, each) for each in typed)
        yield from ((PART, each) for each in self._parts.get(whole, ()))

    def _typed(self, written: Words) -> Iterator[_Entry]:
        """Yield the entries whose words are, except for typing errors, the first of these words."""
        for entry in self._beginning_with(written[0]):
            first = written[: len(entry.words)]
            if len(first) == len(entry.words) and are_typed(entry.words, first):
                pairs = zip(entry.words, first, strict=True)
                if all(one in self._close_to(other) or alike(one) == alike(other) for one, other in pairs):
                    yield entry

    def _entries_beginning_with(self, word: str) -> tuple[_Entry, ...]:
        """Return the entries whose first word equals a word except for typing errors."""
        return tuple(entry for each in self._close_to(word) for entry in self._first.get(each, ()))

    def _close_words(self, word: str) -> Words:
        """Return a word, and all words of listed names that differ from it by typing errors."""
        close = {word: None, alike(word): None}
        if word.isalpha() and len(word) > 1:
            for form, forms in ((folded(word), self._folded), (alike(word), self._alike)):
                near = process.extract(form, forms, scorer=OSA.distance, score_cutoff=2, limit=None)
                for _, errors, number in near:
                    if errors <= typing_errors_max(word, self._vocabulary[number]):
                        close[self._vocabulary[number]] = None
        return tuple(close)


def _wholes(name: str) -> tuple[str, ...]:
    """Return the forms of a name that equal names share: its code, and its letters without and with the legal form."""
    of_code = code(name)
    letters = (joined(words(name)), joined(_split(name)))
    return (of_code, *letters) if of_code else letters


# --- normalisation ---


@lru_cache(maxsize=NAMES_CACHED_MAX)
def _split(name: str, *, lookalikes: bool = True) -> Words:
    """Return the words of a name in small letters without accents. `lookalikes` replaces letters that look Latin."""
    text = name
    if not text.isascii():
        # NFKC replaces some letters by those of their own alphabet, so that what they look like is asked before, too.
        text = unicodedata.normalize("NFKC", text.translate(_LOOKALIKES) if lookalikes else text)
        text = "".join([each for each in text if unicodedata.category(each) != "Cf"]).translate(_BLANK_LETTERS)
        text = _without_marks(text)
        text = text.translate(_LOOKALIKES) if lookalikes else text
    text = text.translate(_APOSTROPHES).replace("&", " and ")
    return tuple(_WORD.findall(text.casefold()))


def _without_marks(text: str) -> str:
    """Return a text without accents and other marks on letters."""
    parts = unicodedata.normalize("NFKD", text)
    return unicodedata.normalize("NFC", "".join([each for each in parts if unicodedata.category(each) != "Mn"]))


class _Lookalikes(dict[int, str]):
    """The Latin letters that characters look like, by code point, as `str.translate` reads them."""

    def __missing__(self, code_point: int) -> str:
        self[code_point] = latin = _lookalike(chr(code_point))
        return latin


_LOOKALIKES: Final = _Lookalikes()


def _lookalike(character: str) -> str:
    """Return the Latin letters that a character looks like, in its own or the other case; itself if it has none."""
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    if (plain := unicodedata.normalize("NFKC", character)).isascii():
        return plain
    for written in (character, character.upper(), character.lower()):
        for each in confusables_data.get(written, ()):
            latin = _without_marks(each["c"])
            if latin.isascii() and latin.isalpha():
                return "I" if latin == "l" and written.isupper() else latin  # the table has one entry for I and l
    shown = _SHOWN_LETTER.fullmatch(unicodedata.name(character, ""))
    return character if shown is None else shown[1]


def _without_legal_form(of: Words) -> Words:
    """Return words without legal forms at the end and at the beginning; at least one word remains."""
    last, first, longest = _legal_forms()
    size = longest
    while size:
        if size < len(of) and joined(of[-size:]) in last:
            of, size = of[:-size], longest
        else:
            size -= 1
    for size in range(longest, 0, -1):
        if size < len(of) and joined(of[:size]) in first:
            return of[size:]
    return of


@cache
def _legal_forms() -> tuple[frozenset[str], frozenset[str], int]:
    """Return the legal forms at the end and at the beginning of names, without blanks, and the most words of one."""
    shipped = tomllib.loads(resources.files("sycee.data").joinpath("legal-forms.toml").read_text(encoding="utf-8"))
    terms = {term for _, term in (*typesources(), *countrysources())}
    last = {_split(each, lookalikes=form) for each in (*terms, *shipped["last"]) for form in (True, False)}
    first = {_split(each, lookalikes=form) for each in shipped["first"] for form in (True, False)}
    longest = max(map(len, last | first))
    return frozenset(map(joined, last)) - {"", *shipped["words"]}, frozenset(map(joined, first)), longest
