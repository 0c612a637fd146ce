"""Sealing of personal data, its keyed hashes and normal forms. Pure: no file, no database, no clock.

A sealed text is a nonce of 12 bytes, the ciphertext and the tag of 16 bytes of AES-256-GCM. Its additional data name
the person and the place, so that bytes moved to another person, version or column cannot be decrypted.

A keyed hash finds a phone, a paper or a name with a date of birth without storing it. Without the master key nobody can
compute the hashes of all phones and compare.
"""

from __future__ import annotations

import json
import os
import re
import struct
import unicodedata
from collections.abc import Mapping, Sequence
from enum import IntEnum
from json.encoder import encode_basestring as quoted
from typing import Final

import numpy as np
from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sycee.core.arrays import Bytes
from sycee.core.errors import IntegrityError, UsageError

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
HASH_BYTES: Final = 16
PAD_BYTES: Final = 32  # a sealed record does not show the exact length of a name
FIELD_CHARACTERS_MAX: Final = 512  # of one field

FIELDS: Final = ("name", "phone", "paper", "paper_kind", "birth", "address")
RECORD: Final = "record"  # the place of a record; other places are named by the package that stores the bytes

_HASH_CONTEXT: Final = "sycee 2026-11-27 personal: key of search hashes"
_MASTER_CONTEXT: Final = "sycee 2026-11-27 personal: check of a master key"
_PERSON_CONTEXT: Final = "sycee 2026-11-27 personal: key of persons"
_WRAP_CONTEXT: Final = "sycee 2026-11-27 personal: wrapping of keys"
_PLACE: Final = struct.Struct(">24s16sI")  # purpose, person, version
_BIRTH: Final = re.compile(r"\d{4}-\d\d-\d\d")
_PHONE: Final = re.compile(r"\+[1-9]\d{7,14}", re.ASCII)  # E.164: at most 15 digits


class SearchKind(IntEnum):
    """Content of a search hash. Numbers never change, since databases contain them."""

    PHONE = 1
    PAPER = 2
    NAME_AND_BIRTH = 3


# --- keys ---


def master_check(master: bytes) -> bytes:
    """Return the 32 bytes by which a master key is recognised. They reveal nothing about the key."""
    return blake3(master, derive_key_context=_MASTER_CONTEXT).digest()


def hash_key(master: bytes) -> bytes:
    """Return the key of the search hashes."""
    return blake3(master, derive_key_context=_HASH_CONTEXT).digest()


def person_master(master: bytes) -> bytes:
    """Return the key from which, together with a person's secret, the person's key is derived."""
    return blake3(master, derive_key_context=_PERSON_CONTEXT).digest()


def person_key(derived: bytes, secret: bytes, person: bytes) -> bytes:
    """Return a person's key. `derived`: `person_master`; `person`: 16 bytes of the id, big-endian.

    Neither the master key nor the secret alone gives the key: deleting the secret is enough to shred.
    """
    return blake3(secret + person, key=derived).digest()


def person_keys(derived: bytes, secrets: Bytes, persons: Bytes) -> list[bytes]:
    """Return the keys of n persons: (n, 32) and (n, 16) uint8."""
    material, size = np.concatenate([secrets, persons], axis=1).tobytes(), secrets.shape[1] + persons.shape[1]
    return [blake3(material[at : at + size], key=derived).digest() for at in range(0, len(material), size)]


def wrapping_key(master: bytes) -> bytes:
    """Return the key under which a master key that replaced another wraps the keys of the first."""
    return blake3(master, derive_key_context=_WRAP_CONTEXT).digest()


def wrap(wrapping: bytes, key: bytes, name: bytes) -> bytes:
    """Return a key of 32 bytes wrapped, or a wrapped one unwrapped. `name`: 16 bytes, of one key under this master key.

    A pad that no other key gets: keyed BLAKE3 of the name.
    """
    pad = blake3(name, key=wrapping).digest()
    return (int.from_bytes(key) ^ int.from_bytes(pad)).to_bytes(KEY_BYTES)


# --- sealing ---


def seal(key: bytes, person: int, place: str, version: int, content: bytes) -> bytes:
    """Return `content` encrypted for one place of one person."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, content, _place(person.to_bytes(16, "big"), place, version))


def unseal(key: bytes, person: int, place: str, version: int, sealed: bytes) -> bytes:
    """Return the content of sealed bytes. Raises IntegrityError if they were changed, or are of another place."""
    where = _place(person.to_bytes(16, "big"), place, version)
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], where)
    except (InvalidTag, ValueError) as error:
        raise IntegrityError(
            f"the sealed {place} of this person does not open with the person's key",
            hint="the bytes were changed, or belong to another person or version: restore them from a backup",
        ) from error


def seal_records(keys: Sequence[bytes], persons: Bytes, contents: Sequence[bytes]) -> list[bytes]:
    """Return the first versions of n records sealed. `persons`: ids as (n, 16) uint8, big-endian."""
    nonces, names = os.urandom(NONCE_BYTES * len(keys)), persons.tobytes()
    before, after = _place(bytes(16), RECORD, 1)[:24], struct.pack(">I", 1)
    sealed = []
    for number, (key, content) in enumerate(zip(keys, contents, strict=True)):
        nonce = nonces[number * NONCE_BYTES : (number + 1) * NONCE_BYTES]
        person = names[number * 16 : (number + 1) * 16]
        sealed.append(nonce + AESGCM(key).encrypt(nonce, content, before + person + after))
    return sealed


def _place(person: bytes, place: str, version: int) -> bytes:
    return _PLACE.pack(place.encode("ascii"), person, version)


# --- records ---


def encode_fields(fields: Mapping[str, str]) -> bytes:
    """Return the bytes of one record: a JSON object, padded with blanks. `fields`: names of FIELDS only."""
    return encode_records({name: [text] for name, text in fields.items()})[0] if fields else _padded("")


def encode_records(columns: Mapping[str, Sequence[str]]) -> list[bytes]:
    """Return the bytes of n records. `columns`: field → n texts, "" for none."""
    members = [[f'"{name}":{quoted(text)}' if text else "" for text in texts] for name, texts in columns.items()]
    return [_padded(",".join(filter(None, row))) for row in zip(*members, strict=True)]


def _padded(members: str) -> bytes:
    content = f"{{{members}}}".encode()
    return content + b" " * (-len(content) % PAD_BYTES)


def decode_fields(content: bytes) -> dict[str, str]:
    """Return the fields of one record."""
    fields: dict[str, str] = json.loads(content)
    return fields


# --- normal forms: the same person gives the same text. No error repeats a value ---


def phone(text: str, prefix: str = "") -> str:
    """Return a phone number in the form of E.164: + and 8 to 15 digits.

    Blanks, hyphens, dots and parentheses are removed; 00 in front becomes +. A number without either gets `prefix`,
    such as "+86", instead of its first 0. Raises UsageError for any other text; the error does not repeat it.
    """
    if _PHONE.fullmatch(text):  # most numbers of a file
        return text
    digits = unicodedata.normalize("NFKC", text).translate(_SEPARATORS)
    if digits.startswith("00"):
        digits = f"+{digits[2:]}"
    elif prefix and not digits.startswith("+"):
        digits = prefix + digits.removeprefix("0")
    if not _PHONE.fullmatch(digits):
        raise UsageError(
            "the phone number is not + and 8 to 15 digits",
            hint="give the number with its country code, such as +86 138 0000 0000",
        )
    return digits


def paper(kind: str, text: str) -> str:
    """Return kind and number of an identity paper: upper-case letters and digits only.

    Raises UsageError for a number without any, or a missing kind.
    """
    number = "".join(each for each in unicodedata.normalize("NFKC", text).upper() if each.isalnum())
    if not number or not kind.strip():
        raise UsageError("the identity paper has no number or no kind", hint="give both, such as paper_kind = passport")
    return f"{kind.strip().casefold()}:{number}"


def name(text: str) -> str:
    """Return a name for comparison: compatible characters unified, case and repeated blanks ignored."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def birth(text: str) -> str:
    """Return a date of birth, YYYY-MM-DD. Raises UsageError for another text."""
    if not _BIRTH.fullmatch(text.strip()):
        raise UsageError("the date of birth is not YYYY-MM-DD", hint="write it as 1990-12-31")
    return text.strip()


def mask(text: str) -> str:
    """Return a name masked: the first character of each word, and * for each other ("W** L*").

    A name without blanks, as in Chinese, shows its last character alone, as is usual there ("*明").
    """
    words = text.split() if text.isascii() else unicodedata.normalize("NFKC", text).split()
    if len(words) == 1 and not words[0].isascii() and 1 < len(words[0]) <= 4:
        return "*" * (len(words[0]) - 1) + words[0][-1]
    return " ".join([word[0] + "*" * (len(word) - 1) for word in words])


_SEPARATORS: Final = str.maketrans("", "", " -.()\u2010\u2011\u2012\u2013\u2014\u00a0\t")


def search_texts(fields: Mapping[str, str], prefix: str = "") -> dict[SearchKind, str]:
    """Return the normal forms by which a person with these fields is found. Raises UsageError for a wrong field."""
    found = {}
    if fields.get("phone"):
        found[SearchKind.PHONE] = phone(fields["phone"], prefix)
    if fields.get("paper"):
        found[SearchKind.PAPER] = paper(fields.get("paper_kind", ""), fields["paper"])
    if fields.get("name") and fields.get("birth"):
        found[SearchKind.NAME_AND_BIRTH] = f"{birth(fields['birth'])} {name(fields['name'])}"
    return found


def search_hash(key: bytes, kind: SearchKind, text: str) -> bytes:
    """Return the keyed hash of a normal form. `key`: of `hash_key`."""
    return search_hashes(key, kind, [text])


def search_hashes(key: bytes, kind: SearchKind, texts: Sequence[str]) -> bytes:
    """Return the keyed hashes of normal forms of one kind, joined."""
    prefix = chr(kind)
    return b"".join([blake3((prefix + text).encode(), key=key).digest(HASH_BYTES) for text in texts])
