"""Versions of the network and of the library, stored as they were written.

A version is its texts and the waivers granted until then. It is read back by parsing the texts again, and used only if
that gives the digest that was stored with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.engine import Connection

from sycee import data
from sycee.compliance import authority, declarations, library, profile_reader, profiles, signature_log
from sycee.compliance.canonical import canonical
from sycee.compliance.enforcement.tables import CONTENTS, FILES, LIBRARY, NETWORK, VERSIONS, WAIVERS
from sycee.compliance.facts import Network, Waiver
from sycee.compliance.profiles import Library
from sycee.compliance.verdicts import ENGINE
from sycee.core import documents
from sycee.core.errors import IntegrityError, UnavailableError, UsageError

DECLARATION: Final = "declaration"
PROFILE: Final = "profile"
LIST: Final = "list"
AUTHORITY: Final = "authority"
SIGNATURES: Final = "signatures"  # the newest signatures seen, of this and of earlier versions
KEPT: Final = (AUTHORITY, SIGNATURES)  # the texts that new declarations do not replace

_EPOCH: Final = date(1970, 1, 1)
_DAY_NS: Final = 86_400 * 1_000_000_000
_ASKED_MAX: Final = 10_000  # parameters of one query: SQLite takes 32,766


@dataclass(frozen=True, slots=True)
class File:
    """One text; `role` is one of the constants above. `name` is for errors, and no part of digests."""

    role: str
    name: str
    content: bytes

    @property
    def digest(self) -> str:
        """Return the BLAKE3 digest of the text."""
        return declarations.text_digest(self.content)


@dataclass(frozen=True, slots=True)
class Stamp:
    """Author and time of a change: columns of each row. Nanoseconds since 1970-01-01T00:00Z."""

    who: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the network or of the library. `engine` read the texts (`verdicts.ENGINE`)."""

    number: int
    kind: str
    digest: str
    engine: str
    who: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class CurrentVersions:
    """The versions in use: the newest of each kind."""

    network: Version
    library: Version


def day_of(ns: int) -> date:
    """Return the day of a moment, in UTC."""
    return _EPOCH + timedelta(days=ns // _DAY_NS)


# --- texts ---


def library_files(names: Sequence[str | Path], lists: Sequence[Path]) -> list[File]:
    """Return profiles and the lists they use: first the given ones, then shipped ones. Raise as `library.load`."""
    used = library.load(names, lists).lists
    given = [File(LIST, str(path), documents.content(path)) for path in lists]
    missing = used.keys() - {profiles.parse_list(documents.parse(each.content, each.name)).id for each in given}
    return [
        *(File(PROFILE, *data.file("profiles", each, PROFILE)) for each in names),
        *given,
        *(File(LIST, *data.file("lists", each, LIST)) for each in data.names("lists") if each in missing),
    ]


def network_of(files: Sequence[File], granted: Iterable[Waiver]) -> Network:
    """Return the network that these texts declare, under their authority file if there is one, with later waivers."""
    found = [authority.parse(documents.parse(each.content, each.name)) for each in files if each.role == AUTHORITY]
    declared = {each.name: each.content for each in files if each.role == DECLARATION}
    return with_waivers(declarations.parse_files(declared, found[0] if found else None), granted)


def with_signatures(files: Sequence[File], network: Network, now_ns: int) -> list[File]:
    """Return the texts of a network with the log of the newest signatures among all texts so far.

    DocumentError for a signed file that is older than one seen.
    """
    others = [each for each in files if each.role != SIGNATURES]
    seen = [signature_log.parse(documents.parse(each.content, each.name)) for each in files if each.role == SIGNATURES]
    _, signatures = authority.split({each.name: each.content for each in others if each.role == DECLARATION})
    log = (seen[0] if seen else signature_log.SignatureLog()).updated(network, signatures, now_ns)
    text = log.text().encode()
    return [*others, File(SIGNATURES, "signatures.toml", text)] if text else others


def with_waivers(network: Network, granted: Iterable[Waiver]) -> Network:
    """Return a network with further waivers. The newest for a rule and a subject replaces all earlier ones.

    No key signed them, so where only signed facts count they can revoke a waiver and grant none.
    """
    newest = {(each.rule, each.subject): each for each in granted}
    if network.signed_only:
        newest = {name: each for name, each in newest.items() if each.until_date <= each.from_date}
    if not newest:
        return network
    others = [each for each in network.waivers if (each.rule, each.subject) not in newest]
    return replace(network, waivers=tuple(sorted((*others, *newest.values()), key=canonical)))


def library_of(files: Sequence[File]) -> Library:
    """Return the library of these texts."""
    tables = [(each.role, documents.parse(each.content, each.name)) for each in files]
    regimes = [profile_reader.parse_profile(table) for role, table in tables if role == PROFILE]
    return profiles.build_library(regimes, [profiles.parse_list(table) for role, table in tables if role == LIST])


# --- rows ---


def newest(connection: Connection, kind: str, *, until: date | None = None) -> Version | None:
    """Return the newest version of a kind, or the newest at the end of the day `until`, in UTC."""
    where = VERSIONS.c.kind == kind
    if until is not None:
        where &= VERSIONS.c.at_ns < ((until - _EPOCH).days + 1) * _DAY_NS
    return _newest(connection, where)


def of_digest(connection: Connection, kind: str, digest: str) -> Version | None:
    """Return the newest version with this digest."""
    return _newest(connection, (VERSIONS.c.kind == kind) & (VERSIONS.c.digest == digest))


def of_kind(connection: Connection, kind: str) -> list[Version]:
    """Return all versions of a kind, the oldest first."""
    query = select(VERSIONS).where(VERSIONS.c.kind == kind).order_by(VERSIONS.c.number)
    return [Version(*row) for row in connection.execute(query)]


def current(connection: Connection) -> CurrentVersions:
    """Return the versions in use. Raise UsageError if nothing is declared or no profile is in use."""
    network, library = newest(connection, NETWORK), newest(connection, LIBRARY)
    if network is None:
        raise UsageError("nothing is declared yet", hint="call declare(files, by=…) first")
    if library is None:
        raise UsageError("no profile is in use yet", hint="call use(profiles, lists, by=…) first")
    return CurrentVersions(network, library)


def files_of(connection: Connection, version: Version) -> list[File]:
    """Return the texts of a version, in order."""
    query = (
        select(FILES.c.role, FILES.c.name, CONTENTS.c.content)
        .join_from(FILES, CONTENTS, FILES.c.content == CONTENTS.c.digest)
        .where(FILES.c.version == version.number)
        .order_by(FILES.c.position)
    )
    return [File(role, name, content.encode()) for role, name, content in connection.execute(query)]


def granted(connection: Connection, until: int) -> list[Waiver]:
    """Return the waivers granted in versions up to the number `until`, in order."""
    query = select(WAIVERS).where(WAIVERS.c.version <= until).order_by(WAIVERS.c.version, WAIVERS.c.position)
    return [
        Waiver(rule, subject, role, reason, date.fromisoformat(first), date.fromisoformat(end))
        for _, _, rule, subject, role, reason, first, end in connection.execute(query)
    ]


def read(connection: Connection, version: Version) -> Network | Library:
    """Return the network or library of a version.

    Raise IntegrityError if its texts no longer give its digest; UnavailableError if another engine stored it.
    """
    parsed = parse(connection, version)
    if parsed.digest != version.digest:
        name = f"version {version.number} of the {version.kind}"
        if version.engine != ENGINE:
            message = f"{name} was stored by the engine {version.engine}, and {ENGINE} reads its texts differently"
            raise UnavailableError(message, hint="renew() stores the newest versions as this release reads them")
        raise IntegrityError(
            f"{name} was stored with the digest {version.digest[:16]}…; its texts now give {parsed.digest[:16]}…"
        )
    return parsed


def parse(connection: Connection, version: Version) -> Network | Library:
    """Return what this engine reads in the texts of a version, without a check of the digest."""
    files = files_of(connection, version)
    if version.kind == NETWORK:
        return network_of(files, granted(connection, version.number))
    return library_of(files)


def store(
    connection: Connection,
    content: Network | Library,
    files: Sequence[File],
    stamp: Stamp,
    waivers: Sequence[Waiver] = (),
) -> Version:
    """Add a version and return it; return the newest one if that has the same digest and texts."""
    kind, digest = NETWORK if isinstance(content, Network) else LIBRARY, content.digest
    last = newest(connection, kind)
    if last and last.digest == digest and not waivers and _digests(files_of(connection, last)) == _digests(files):
        return last
    number = (connection.scalar(select(func.max(VERSIONS.c.number))) or 0) + 1
    version = Version(number, kind, digest, ENGINE, stamp.who, stamp.at_ns)
    connection.execute(VERSIONS.insert().values(asdict(version)))
    add_contents(connection, {each.digest: each.content.decode() for each in files})
    rows = [{"role": each.role, "name": each.name, "content": each.digest} for each in files]
    _insert(connection, FILES, ({"version": number, "position": place} | row for place, row in enumerate(rows)))
    _insert(connection, WAIVERS, (_waiver_row(number, place, each) for place, each in enumerate(waivers)))
    return version


def add_contents(connection: Connection, contents: Mapping[str, str]) -> None:
    """Store texts by their digests; those that are stored stay."""
    digests = list(contents)
    for first in range(0, len(digests), _ASKED_MAX):
        asked = digests[first : first + _ASKED_MAX]
        stored = set(connection.scalars(select(CONTENTS.c.digest).where(CONTENTS.c.digest.in_(asked))))
        _insert(
            connection, CONTENTS, ({"digest": each, "content": contents[each]} for each in asked if each not in stored)
        )


def _digests(files: Iterable[File]) -> list[tuple[str, str, str]]:
    return [(each.role, each.name, each.digest) for each in files]


def _waiver_row(version: int, position: int, waiver: Waiver) -> Mapping[str, object]:
    row = asdict(waiver)
    days = {f"{name}_day": row.pop(f"{name}_date").isoformat() for name in ("from", "until")}
    return {"version": version, "position": position, **row, **days}


def _insert(connection: Connection, table: Any, rows: Iterable[Mapping[str, object]]) -> None:
    if listed := list(rows):
        connection.execute(table.insert(), listed)


def _newest(connection: Connection, where: ColumnElement[bool]) -> Version | None:
    row = connection.execute(select(VERSIONS).where(where).order_by(VERSIONS.c.number.desc()).limit(1)).first()
    return Version(*row) if row else None
