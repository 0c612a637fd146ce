"""Texts that operators may send to the registrants of a programme, by state and language.

The texts are data: `data/messages/standard.toml`, or a file of the programme's publisher, which replaces texts. A text
has placeholders. Those about the programme are filled here; those about a person are left for the operator, which knows
the person. No text has personal data (docs/reference/messages.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee import data
from sycee.core import documents
from sycee.core.clock import read_ns
from sycee.core.documents import Table, shown_moment
from sycee.core.errors import UsageError
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write
from sycee.identity.people import People
from sycee.programmes.definition import Programme
from sycee.programmes.drafts import DRAFT
from sycee.programmes.stored import occurrence_in, programme_in
from sycee.programmes.tables import MESSAGES

STATES: Final = (
    *("registered", "checked", "confirmed", "duplicate", "excluded", "lapsed", "withdrawn", "not-drawn", "drawn"),
    *("to-be-claimed", "claim-ends-soon", "not-claimed", "claimed", "expires-soon", "expired", "halted", "cancelled"),
)
# Placeholders of the operator: about one person, and none of them names or identifies one.
PERSONAL: Final = ("entry", "bank", "packet", "amount")
# Placeholders that the programme's file fills.
GENERAL: Final = (
    *("title", "funder", "check_minutes", "code_minutes", "registration_until", "draw_at", "claim_from"),
    *("claim_until", "spending_from", "spending_until", "expires_at"),
)
CHARACTERS_MAX: Final = 500
FILE_BYTES_MAX: Final = 256 * 1024
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_LONG_NUMBER: Final = re.compile(r"[0-9][0-9 \-]{5,}[0-9]")
_MINUTE_NS: Final = 60 * 10**9

Texts = Mapping[str, Mapping[str, str]]  # language → state → text


@dataclass(frozen=True, slots=True)
class Message:
    """A text for one state. `text`: with the placeholders of `open`, which the operator fills."""

    state: str
    language: str
    text: str
    open: tuple[str, ...]


@cache
def standard() -> Texts:
    """Return the shipped texts."""
    return read(data.content("messages", "standard").decode(), "standard.toml", needs_all=True)


def read(text: str, name: str, *, needs_all: bool = False) -> Texts:
    """Return the texts of a file. A language that is not shipped needs every state, as all do with `needs_all`.

    Raises DocumentError for an unknown state or placeholder, a missing text, a text of more than CHARACTERS_MAX
    characters, and one with a long number, such as a phone.
    """
    table = documents.parse(text, name)
    languages = table.texts("languages")
    found = {}
    for language in languages:
        if not _LANGUAGE.fullmatch(language):
            raise table.error(
                "languages", f"{documents.found(language)} is no language", right='BCP 47 tags such as "en" or "zh"'
            )
        is_whole = needs_all or language not in standard()
        found[language] = _texts(table.table(language), is_whole)
    table.finish()
    return found


def _texts(table: Table, is_whole: bool) -> dict[str, str]:
    texts = {}
    for state in STATES:
        table.offer(state)
        if state in table or is_whole:
            texts[state] = table.text(state)
            _check(table, state, texts[state])
    table.finish()
    return texts


def _check(table: Table, state: str, text: str) -> None:
    if len(text) > CHARACTERS_MAX:
        raise table.error(state, f"the text has {len(text)} characters", right=f"at most {CHARACTERS_MAX}")
    allowed = (*GENERAL, *PERSONAL)
    for name in _PLACEHOLDER.findall(text):
        if name not in allowed:
            raise table.error(
                state, f"there is no placeholder {{{name}}}", right=", ".join(f"{{{each}}}" for each in allowed)
            )
    if re.search(r"[{}]", _PLACEHOLDER.sub("", text)):
        raise table.error(state, "a brace is not closed or not opened", right="{name}, with a name of the list")
    if _LONG_NUMBER.search(text):
        raise table.error(
            state, "the text has a long number, and a text has no personal data", right="a placeholder, or no number"
        )


def filled(texts: Texts, programme: Programme, language: str) -> tuple[Message, ...]:
    """Return the messages of a language in the order of STATES, filled with the values of a programme.

    `programme`: with the windows of the occurrence. Texts that `texts` lacks are the shipped ones. Raises UsageError
    for a language without texts.
    """
    own = {**standard().get(language, {}), **texts.get(language, {})}
    if not own:
        known = sorted({*standard(), *texts})
        raise UsageError(f"there are no texts in {language[:20]!r}", hint=f"languages: {', '.join(known)}")
    values = _values(programme)
    messages = []
    for state in STATES:
        text = _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), own[state])
        # Of the text before it is filled: a title may have braces.
        open_ = tuple(dict.fromkeys(each for each in _PLACEHOLDER.findall(own[state]) if each not in values))
        messages.append(Message(state, language, text, open_))
    return tuple(messages)


def _values(programme: Programme) -> dict[str, str]:
    def shown(moment_ns: int) -> str:
        return shown_moment(moment_ns, programme.zone)[:16]  # local, to the minute

    rules = programme.registration_rules
    drawn_ns = programme.draw.beacon_due_ns if programme.draw.is_drawn else programme.registration.until_ns
    return {
        "title": programme.title,
        "funder": programme.funder.name,
        "check_minutes": str(rules.check_ns // _MINUTE_NS),
        "code_minutes": str(rules.code_ns // _MINUTE_NS),
        "registration_until": shown(programme.registration.until_ns),
        "draw_at": shown(drawn_ns),
        "claim_from": shown(programme.claim.from_ns),
        "claim_until": shown(programme.claim.until_ns),
        "spending_from": shown(programme.spending.from_ns),
        "spending_until": shown(programme.spending.until_ns),
        "expires_at": shown(programme.expires_ns),
    }


class Messages:
    """The texts of the programmes of one bank."""

    def __init__(self, stores: Stores, people: People) -> None:
        self._stores, self._people = stores, people

    def replace(self, name: str, text: str, *, who: int) -> tuple[str, ...]:
        """Store the publisher's file for a programme; return its languages. "" for the shipped texts again.

        Raises DocumentError for a file with an error, NotFound for an unknown programme, UsageError without the duty.
        """
        with reading(self._stores.engine) as connection:
            programme = programme_in(connection, name)
        self._people.require(who, DRAFT, operator=programme.operator)
        if len(text.encode()) > FILE_BYTES_MAX:
            raise UsageError(f"a file of messages has at most {FILE_BYTES_MAX // 1024} KiB", hint="shorten it")
        languages = tuple(read(text, "messages.toml")) if text else ()

        def store(connection: Connection) -> None:
            connection.execute(MESSAGES.delete().where(MESSAGES.c.programme == name))
            if text:
                row = {"programme": name, "text": text, "by": who, "at_ns": read_ns(self._stores.clock)}
                connection.execute(MESSAGES.insert().values(row))

        write(self._stores.engine, store)
        return languages

    def of(self, name: str, occurrence: int = 0, *, language: str = "en") -> tuple[Message, ...]:
        """Return the messages of an occurrence. Raises NotFound for an unknown one, and errors as `filled`."""
        with reading(self._stores.engine) as connection:
            programme = programme_in(connection, name)
            current = occurrence_in(connection, name, occurrence)
            query = sqlalchemy.select(MESSAGES.c.text).where(MESSAGES.c.programme == name)
            text = connection.scalar(query)
        return filled(read(text, "messages.toml") if text else {}, programme.on(current), language)
