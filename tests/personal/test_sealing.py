"""Sealing, keyed hashes, normal forms and masks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sycee.core.errors import IntegrityError, UsageError
from sycee.personal import sealing
from sycee.personal.sealing import SearchKind

pytestmark = pytest.mark.fast

MASTER = bytes(range(32))
PERSON, OTHER = 0x0193_7000_0000_0000_8000_0000_0000_0001, 0x0193_7000_0000_0000_8000_0000_0000_0002
KEY = sealing.person_key(sealing.person_master(MASTER), bytes(32), PERSON.to_bytes(16, "big"))


def test_sealed_bytes_open_in_their_own_place_only() -> None:
    sealed = sealing.seal(KEY, PERSON, "record", 1, b"Wang Li")
    assert sealing.unseal(KEY, PERSON, "record", 1, sealed) == b"Wang Li"
    for key, person, place, version in (
        (KEY, OTHER, "record", 1),
        (KEY, PERSON, "reference", 1),
        (KEY, PERSON, "record", 2),
        (bytes(32), PERSON, "record", 1),
    ):
        with pytest.raises(IntegrityError, match="does not open"):
            sealing.unseal(key, person, place, version, sealed)


@pytest.mark.parametrize("at", [0, 11, 12, 18, -1])
def test_a_changed_byte_is_found(at: int) -> None:
    sealed = bytearray(sealing.seal(KEY, PERSON, "record", 1, b"Wang Li"))
    sealed[at] ^= 1
    with pytest.raises(IntegrityError, match="does not open"):
        sealing.unseal(KEY, PERSON, "record", 1, bytes(sealed))


@pytest.mark.parametrize("length", [0, 5, 27])
def test_truncated_bytes_do_not_open(length: int) -> None:
    sealed = sealing.seal(KEY, PERSON, "record", 1, b"")
    with pytest.raises(IntegrityError, match="does not open"):
        sealing.unseal(KEY, PERSON, "record", 1, sealed[:length])


def test_many_records_are_sealed_as_one_is() -> None:
    contents = [b"one", b"two"]
    names = np.frombuffer(PERSON.to_bytes(16, "big") + OTHER.to_bytes(16, "big"), np.uint8).reshape(2, 16)
    one, two = sealing.seal_records([KEY, KEY], names, contents)
    assert sealing.unseal(KEY, PERSON, sealing.RECORD, 1, one) == b"one"
    assert sealing.unseal(KEY, OTHER, sealing.RECORD, 1, two) == b"two"
    assert one[:12] != two[:12]


@given(st.dictionaries(st.sampled_from(sealing.FIELDS), st.text(min_size=1)))
def test_fields_come_back_as_they_were(fields: dict[str, str]) -> None:
    try:
        content = sealing.encode_fields(fields)
    except UnicodeEncodeError:
        return  # a lone surrogate is no text
    assert sealing.decode_fields(content) == fields
    assert len(content) % sealing.PAD_BYTES == 0


def test_the_length_of_a_record_does_not_show_the_length_of_a_name() -> None:
    lengths = {len(sealing.encode_fields({"name": name, "phone": "+8613800000000"})) for name in ("Li", "Ouyang Xiu")}
    assert len(lengths) == 1


def test_each_master_key_gives_its_own_hashes_and_check() -> None:
    one = sealing.search_hash(sealing.hash_key(MASTER), SearchKind.PHONE, "+8613800000000")
    assert len(one) == sealing.HASH_BYTES
    assert one == sealing.search_hash(sealing.hash_key(MASTER), SearchKind.PHONE, "+8613800000000")
    assert one != sealing.search_hash(sealing.hash_key(bytes(32)), SearchKind.PHONE, "+8613800000000")
    assert one != sealing.search_hash(sealing.hash_key(MASTER), SearchKind.PAPER, "+8613800000000")
    assert sealing.master_check(MASTER) != sealing.master_check(bytes(32))


def test_the_key_needs_both_the_secret_and_the_master() -> None:
    person = PERSON.to_bytes(16, "big")
    assert sealing.person_key(sealing.person_master(MASTER), bytes(31) + b"\1", person) != KEY
    assert sealing.person_key(sealing.person_master(bytes(32)), bytes(32), person) != KEY
    assert sealing.person_key(sealing.person_master(MASTER), bytes(32), OTHER.to_bytes(16, "big")) != KEY


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("+86 138-0013-8000", "+8613800138000"),
        ("0086 138 0013 8000", "+8613800138000"),
        ("13800138000", "+8613800138000"),
        ("013800138000", "+8613800138000"),
        ("(138) 0013.8000", "+8613800138000"),
        ("+８６１３８００１３８０００", "+8613800138000"),  # full-width digits
        ("+234 803 123 4567", "+2348031234567"),
    ],
)
def test_phones_have_one_form(text: str, normal: str) -> None:
    assert sealing.phone(text, "+86") == normal


@pytest.mark.parametrize("text", ["", "+", "12", "+86", "+0123456789", "+861380013800x", "+1234567890123456", "王丽"])
def test_a_wrong_phone_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        sealing.phone(text, "")
    assert len(text) < 4 or text not in str(raised.value) + str(raised.value.hint)


def test_other_forms() -> None:
    assert sealing.paper("Passport ", "e-1234 5678") == "passport:E12345678"
    assert sealing.name("  WANG   Li ") == sealing.name("wang li") == "wang li"
    assert sealing.name("ｗａｎｇ") == "wang"
    assert sealing.birth("1990-12-31") == "1990-12-31"
    for call in (lambda: sealing.paper("", "1"), lambda: sealing.paper("id", "--"), lambda: sealing.birth("31.12.90")):
        with pytest.raises(UsageError):
            call()


@pytest.mark.parametrize(
    ("name", "masked"),
    [("Wang Li", "W*** L*"), ("王小明", "**明"), ("王丽", "*丽"), ("Ann", "A**"), ("王", "王"), ("", "")],
)
def test_masks(name: str, masked: str) -> None:
    assert sealing.mask(name) == masked


def test_search_texts_of_a_person() -> None:
    fields = {"name": "Wang Li", "phone": "13800138000", "paper": "e1", "paper_kind": "passport", "birth": "1990-12-31"}
    assert sealing.search_texts(fields, "+86") == {
        SearchKind.PHONE: "+8613800138000",
        SearchKind.PAPER: "passport:E1",
        SearchKind.NAME_AND_BIRTH: "1990-12-31 wang li",
    }
    assert sealing.search_texts({"name": "Wang Li"}) == {}
