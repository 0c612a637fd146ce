"""Names of parties: what is equal, what is similar, and that no way of writing a listed name passes."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from random import Random

import pytest
from confusable_homoglyphs.confusables import confusables_data
from tests.compliance.build import AT, app, condition, facility, listing, network, organisation, row
from tests.compliance.test_conditions import ask

from sycee import data
from sycee.compliance import library, names
from sycee.compliance.judging.effective_facts import EffectiveNetwork
from sycee.compliance.judging.ownership import ListLookup
from sycee.compliance.names import NameIndex
from sycee.compliance.profiles import List

pytestmark = pytest.mark.fast

SAMPLES = 3  # variants of each name and way of writing it
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@cache
def shipped() -> tuple[List, ...]:
    return tuple(library.load(data.names("profiles")).lists.values())


def how(name: str, *listed: str) -> str | None:
    """Return how a name matches one of these: "" if it is equal, None if it does not."""
    found = NameIndex(enumerate(listed)).find(name)
    return next(iter(found.values())).how if found else None


# --- equal names ---


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("Weir Works", "WEIR  works"),
        ("Weir Works", "Weir-Works, Ltd."),
        ("Weir Works Limited", "Weir Works Co., Ltd."),
        ("Weir Works", "\uff37\uff45\uff49\uff52 \uff37\uff4f\uff52\uff4b\uff53"),
        ("Weir Works", "We\u200bir\u00adWor\u2060ks"),
        ("Weir Works", "W\u0435ir W\u043erks"),
        ("Weir Works", "WEI\u0420 W\u039fRKS".replace("\u0420", "R")),
        ("Weir & Works", "Weir and Works"),
        ("Wéïr Wörks", "Weir Works"),
        ("Łódź Brücke", "lodz brucke gmbh"),
        ("O'Weir", "OWeir"),
        ("WeirWorks", "Weir Works"),
        ("Weir Works S.p.A.", "Weir Works SpA"),
        ("ООО «Плотина»", "Плотина"),
        ("АО Плотина", "ПАО Плотина"),
        ("长江账本有限公司", "长江账本股份有限公司"),
        ("株式会社堰", "堰"),
        ("PT Bendungan Tbk", "Bendungan"),
        ("Company Limited", "COMPANY"),
        ("WeirWorksLimited", "Weir Works Limited"),
        ("LEI 529900T8BM49AURSDO55", "lei:529900t8bm49aursdo55"),
        ("Weir Works", "\U0001f186\U0001f174\U0001f178\U0001f181 Works"),  # white letters on black squares
        ("Weir Works", "\U0001f1fc\U0001f1ea\U0001f1ee\U0001f1f7 Works"),  # letters of flags
        ("Weir Works", "\u1d21\u1d07\u026a\u0280 Works"),  # small capitals
    ],
)
def test_these_names_are_equal(name: str, same: str) -> None:
    assert how(same, name) == ""
    assert how(name, same) == ""


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Weir 1 12", "Weir 11 2"),
        ("weir-11", "weir-12"),
        ("carrier-a", "carrier-b"),
        ("Weir", "Lock"),
        ("ABC", "ABD"),
        ("Weir 2020", "Weir 2021"),
        ("Weir2020", "Weir2021"),
        ("W31r", "Lock"),
        ("Locksmith", "Lock"),  # a name of four letters within a word
        ("Resluiced", "Sluice"),
        ("lei:00WEIR", "lei:00WEIS"),
        ("register:12345", "register:12346"),
        ("江", "河"),
        ("", "Weir"),
        ("...", "Weir"),
        ("Weir", "..."),
    ],
)
def test_these_names_do_not_match(name: str, other: str) -> None:
    assert how(other, name) is None
    assert how(name, other) is None


@pytest.mark.parametrize(
    ("name", "listed", "expected"),
    [
        ("Wier Works", "Weir Works", names.SPELLED),
        ("Weir Workz", "Weir Works", names.SPELLED),
        ("Wejr Works", "Weir Works", names.SPELLED),  # a word of four letters beside an equal one
        ("WE1R WORKS", "Weir Works", names.SPELLED),
        ("W31r W0rk5", "Weir Works", names.SPELLED),
        ("Harnmer Works", "Hammer Works", names.SPELLED),
        ("Marnie Works", "Marine Works", names.SPELLED),
        ("\u03b7at", "Hat", names.READS),  # a small eta looks like n, a capital one like H
        ("Works Weir", "Weir Works", names.REORDERED),
        ("The Weir Works of Ghent", "Weir Works", names.CONTAINS),
        ("The Weirworks", "Weir Works", names.CONTAINS),
        ("The Weir Wroks", "Weir Works", names.CONTAINS_NEARLY),
        ("WeirWorsk", "Weir Works", names.SPELLED),  # long enough for an error beside a missing blank
        ("Weir", "Weir Works", names.PART),
        ("长江", "长江账本", names.PART),
        ("北京长江账本", "长江账本", names.CONTAINS),
        ("長江", "Changjiang", names.READS),
        ("Chang Jiang Zhang Ben", "长江账本", names.SPELLED),
        ("Плотина", "Plotina", names.READS),
        ("Weir Works2", "Weir Works", names.READS),
        ("Weirworks2012 Labs", "Weir Works", names.CONTAINS),
        ("24Weir Works", "Weir Works", names.READS),
        ("WeirWorksCloud", "Weir Works", names.CONTAINS),
        ("MYSLUICE of Ghent", "Sluice", names.CONTAINS),
    ],
)
def test_these_names_are_similar(name: str, listed: str, expected: str) -> None:
    assert how(name, listed) == expected


@pytest.mark.parametrize(
    ("name", "unreadable"),
    [
        ("Weir Works", False),
        ("江", False),
        ("Łódź Brücke", False),
        ("Плотина", False),
        ("LG전자", False),
        ("Hawaiʻi Weirs", False),
        ("lei:00WEIR", False),
        ("...", True),
        ("★★★", True),
        ("\u202eskroW rieW", True),  # shown as "Weir Works"
        ("\u15efeir Works", True),  # a syllabic in a Latin word
        ("Weiя Works", True),
        ("Weir Плотина", False),  # a word in each alphabet
    ],
)
def test_a_name_that_cannot_be_compared_is_unreadable(name: str, unreadable: bool) -> None:
    assert names.is_unreadable(name) is unreadable


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("529900T8BM49AURSDO55", "lei:529900T8BM49AURSDO55"),
        ("LEI: 529900t8bm49aursdo55", "lei:529900T8BM49AURSDO55"),
        ("529900T8BM49AURSDO56", ""),  # wrong check digits
        ("lei:00weir", "lei:00WEIR"),
        ("HRB: 12 345", "hrb:12345"),
        ("Weir: Works", ""),
        ("Weir Works", ""),
    ],
)
def test_codes_are_told_from_names(text: str, code: str) -> None:
    assert names.code(text) == code


def test_a_name_written_as_a_code_is_compared_as_a_name_too() -> None:
    assert how("firm: Weir Works 5", "Weir Works") == names.CONTAINS


def test_a_legal_form_alone_remains_a_name() -> None:
    assert names.words("Limited") == ("limited",)
    assert names.words("有限公司") == ("有", "限", "公", "司")


def test_the_best_match_of_a_row_is_given() -> None:
    found = NameIndex([(0, "Weir"), (0, "Weir Works"), (1, "Lock")]).find("Weir Works")
    assert {number: match.how for number, match in found.items()} == {0: ""}
    assert found[0].name == "Weir Works"


# --- no way of writing a listed name passes ---


def homoglyph(random: Random, name: str) -> str:
    """Return a name with letters of other alphabets that look alike."""
    return "".join(random.choice([letter, *lookalikes(letter)]) for letter in name)


@cache
def lookalikes(letter: str) -> tuple[str, ...]:
    found = [each["c"] for each in confusables_data.get(letter, ())] if letter.isalpha() and letter.isascii() else []
    scripts = ("CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE")
    return tuple(each for each in found if len(each) == 1 and unicodedata.name(each, "").startswith(scripts))


def accented(random: Random, name: str) -> str:
    marks = ("", "", "\u0301", "\u0308", "\u0327")
    return unicodedata.normalize(
        "NFC", "".join(f"{each}{random.choice(marks) if each.isalpha() else ''}" for each in name)
    )


def wide(random: Random, name: str) -> str:
    return "".join(chr(ord(each) + 0xFEE0) if "!" <= each <= "~" and random.random() < 0.7 else each for each in name)


def cased(random: Random, name: str) -> str:
    return "".join(random.choice((each.upper(), each.lower())) for each in name)


def punctuated(random: Random, name: str) -> str:
    return "".join(
        each if each != " " else random.choice((" ", "-", ", ", " . ", "_", "\u00a0", "\u3000")) for each in name
    )


def invisible(random: Random, name: str) -> str:
    return "".join(f"{each}{random.choice(('', '', chr(0x200B), chr(0x2060), chr(0xAD)))}" for each in name)


def legal(random: Random, name: str) -> str:
    forms = ("Ltd", "Ltd.", "LLC", "GmbH", "S.A.", "SA", "Inc.", "Co., Ltd.", "Pte. Ltd.", "AG", "有限公司", "Limited")
    return f"{name} {random.choice(forms)}"


def spaced(random: Random, name: str) -> str:
    return name.replace(" ", random.choice(("", "  ")))


def reordered(random: Random, name: str) -> str:
    parts = name.split()
    random.shuffle(parts)
    return " ".join(parts)


def extended(random: Random, name: str) -> str:
    return random.choice((f"New {name}", f"{name} Trading", f"The {name} of Ghent"))


def mistyped(random: Random, name: str) -> str:
    """Return a name with one wrong, missing, further or swapped letter in a word of at least six letters."""
    parts = name.split()
    long = [number for number, each in enumerate(parts) if len(each) > 5 and each.isascii() and each.isalpha()]
    if not long:
        return name
    number = random.choice(long)
    word, at, letter = parts[number], random.randrange(len(parts[number]) - 1), random.choice(LETTERS)
    parts[number] = random.choice(
        (
            word[:at] + letter + word[at + 1 :],
            word[:at] + word[at + 1 :],
            word[:at] + letter + word[at:],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        )
    )
    return " ".join(parts)


def symbols(random: Random, name: str) -> str:
    """Return a name with letters in squares, in circles and of flags."""
    return "".join(
        chr(random.choice((0x1F170, 0x1F150, 0x1F1E6)) + ord(each.upper()) - ord("A"))
        if each.isascii() and each.isalpha() and random.random() < 0.7
        else each
        for each in name
    )


def numbered(random: Random, name: str) -> str:
    return f"{name}{random.choice((2, 365, 2012))}{random.choice(('', ' Labs'))}"


def attached(random: Random, name: str) -> str:
    """Return a name with a word attached, if it has five letters and nothing else."""
    if len(name) < 5 or not (name.isascii() and name.isalpha()):
        return name
    return random.choice((f"{name}Cloud", f"My{name}"))


Way = Callable[[Random, str], str]
NORMALISED: tuple[Way, ...] = (homoglyph, symbols, spaced, cased, accented, wide, punctuated, invisible, legal)
SIMILAR: tuple[Way, ...] = (reordered, extended, mistyped, numbered, attached)


def variants(random: Random, name: str) -> list[str]:
    """Return a name written in each way, and similar names in two more ways at once.

    A lookalike in another case looks like another letter, so its case remains. Of a name with a typing error, the words
    remain separate.
    """
    ways: list[tuple[Way, ...]] = [(way,) for way in (*NORMALISED, *SIMILAR)]
    ways += [(random.choice(SIMILAR), homoglyph, random.choice(NORMALISED[4:])) for _ in range(2)]
    written = []
    for each in ways:
        variant = name
        for way in each:
            variant = way(random, variant)
        written.append(variant)
    return written


@pytest.mark.parametrize("number", range(len(data.names("lists"))))
def test_no_variant_of_a_listed_name_passes(number: int) -> None:
    listed = shipped()[number]
    random = Random(number)
    listing_now = {"from_date": None, "until_date": None, "status": "listed", "purposes": ()}
    rows = tuple(replace(each, **listing_now) for each in listed.rows)
    timeless = replace(listed, rows=rows, complete=True, as_of=AT, valid_until=None, covers_from=None)
    passed = []
    for each in timeless.rows:
        for name in each.names:
            for variant in {name, *(one for _ in range(SAMPLES) for one in variants(random, name))}:
                made = network(firm=organisation(identifiers=(variant,)))
                match = ListLookup(timeless, EffectiveNetwork(made, AT), 5000).match("firm")
                if match.truth is False or each.party not in match.row:
                    passed.append((name, variant, match.row))
    assert passed == []


def test_every_lookalike_of_a_letter_is_read_as_the_letter() -> None:
    read = {
        (letter, each): names.words(f"{each}x")
        for letter in LETTERS + LETTERS.upper()
        for each in lookalikes(letter)
        if names.words(f"{each}x") != (f"{letter.lower()}x",)
    }
    # The table has one entry for capital I and small l, and no letter looks like both.
    assert {letter for letter, _ in read} <= {"l"}
    assert set(read.values()) <= {("ix",)}


def test_a_listed_product_is_a_possible_match_of_its_maker() -> None:
    lists = listing(row("Weir Pay"))
    made = network(
        pay=app(publisher="firm"),
        other=app(publisher="firm"),
        firm=organisation(),
        hub=facility(equipment=[{"vendor": "firm", "model": "WEIR-PAY 500"}, {"vendor": "firm"}]),
        plain=facility(equipment=[{"vendor": "firm", "model": "500"}]),
    )
    named = replace(made, entities={**made.entities, "pay": replace(made.entities["pay"], name="WeirPay")})
    publisher = condition("publisher", "none-listed", list="list")
    assert ask(named, "other", publisher, lists).truth is True
    found = ask(named, "pay", publisher, lists)
    assert (found.truth, found.row) == (None, "list: possible match with Weir Pay")
    vendor = condition("equipment.vendor", "none-listed", list="list")
    assert ask(named, "plain", vendor, lists).truth is True
    assert ask(named, "hub", vendor, lists).truth is None


@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("AliCloud", "clean-network-2020-clouds"),
        ("腾讯云", "clean-network-2020-clouds"),
        ("移动云", "clean-network-2020-clouds"),
        ("天翼云科技有限公司", "clean-network-2020-clouds"),
        ("CTYun", "clean-network-2020-clouds"),
        ("ファーウェイ・ジャパン", "clean-network-2020-vendors"),
        ("ファーウェイ", "us-fcc-covered-list"),
    ],
)
def test_a_trading_name_of_a_listed_party_does_not_pass(name: str, of: str) -> None:
    (listed,) = [each for each in shipped() if each.id == of]
    made = network(firm=organisation(identifiers=(name,), owners=()))
    assert ListLookup(listed, EffectiveNetwork(made, listed.first_day), 5_000).match("firm").truth is not False
