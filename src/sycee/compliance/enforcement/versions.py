"""Every version of what judges, kept as it was written: of the network, and of the library.

A version is its texts and the waivers granted until then. It is read back by parsing the texts again, and is only used
if that gives the digest that was kept with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, func, select
from sqlalchemy.engine import Connection

from sycee import data
from sycee.compliance import declarations, library, profiles
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

_EPOCH: Final = date(1970, 1, 1)
_DAY_NS: Final = 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class File:
    """One text. `role` is "declaration", "profile" or "list"; `name` is what errors call it, and no part of digests."""

    role: str
    name: str
    content: bytes

    @property
    def digest(self) -> str:
        """BLAKE3 of the text."""
        return declarations.text_digest(self.content)


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who does something, and when: nanoseconds since 1970-01-01T00:00Z."""

    who: str
    at_ns: int

    @property
    def row(self) -> Mapping[str, Any]:
        """As tables have it."""
        return {"who": self.who, "at_ns": self.at_ns}


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the network or of the library: who brought it, when, and the digest of what it says.

    `engine` is the one that read the texts so (`verdicts.ENGINE`).
    """

    number: int
    kind: str
    digest: str
    engine: str
    who: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class CurrentVersions:
    """What judges: a version of each."""

    network: Version
    library: Version


def day_of(ns: int) -> date:
    """The day of a moment, in UTC."""
    return _EPOCH + timedelta(days=ns // _DAY_NS)


def end_of(day: date) -> int:
    """The moment at which a day has passed, in UTC."""
    return ((day - _EPOCH).days + 1) * _DAY_NS


# --- texts ---


def declaration_files(paths: Sequence[Path]) -> list[File]:
    """The declarations in these files and folders. UsageError or DocumentError if they cannot be read."""
    return [File(DECLARATION, name, content) for name, content in declarations.read_files(paths).items()]


def library_files(names: Sequence[str | Path], lists: Sequence[Path]) -> list[File]:
    """Profiles, shipped or of a path, and the lists that they look at: those given, and shipped ones beside them."""
    library.load(names, lists)  # says what cannot be
    regimes = [File(PROFILE, *data.file("profiles", each, PROFILE)) for each in names]
    own = [File(LIST, str(path), documents.content(path)) for path in lists]
    given = {_list(each).id for each in own}
    shipped = [File(LIST, *data.file("lists", name, LIST)) for name in data.names("lists") if name not in given]
    named = library_of([*regimes, *own, *shipped]).lists
    return [*regimes, *(each for each in (*own, *shipped) if _list(each).id in named)]


def network_of(files: Sequence[File], granted: Iterable[Waiver]) -> Network:
    """The network that these texts declare, with waivers granted since."""
    return with_waivers(declarations.parse_files({each.name: each.content for each in files}), granted)


def with_waivers(network: Network, granted: Iterable[Waiver]) -> Network:
    """A network with waivers granted since. For a rule and a subject the newest counts, and none that was before it."""
    newest = {(each.rule, each.subject): each for each in granted}
    if not newest:
        return network
    others = [each for each in network.waivers if (each.rule, each.subject) not in newest]
    return replace(network, waivers=tuple(sorted((*others, *newest.values()), key=canonical)))


def library_of(files: Sequence[File]) -> Library:
    """The library of these texts."""
    read = {role: [each for each in files if each.role == role] for role in (PROFILE, LIST)}
    regimes = [profiles.parse_profile(documents.parse(each.content, each.name)) for each in read[PROFILE]]
    return profiles.build_library(regimes, [_list(each) for each in read[LIST]])


def _list(file: File) -> profiles.List:
    return profiles.parse_list(documents.parse(file.content, file.name))


# --- kept ---


def newest(connection: Connection, kind: str, *, before_ns: int | None = None) -> Version | None:
    """The last version of a kind, or the last one that came before a moment."""
    which = VERSIONS.c.kind == kind
    return _version(connection, which if before_ns is None else which & (VERSIONS.c.at_ns < before_ns))


def of_digest(connection: Connection, kind: str, digest: str) -> Version | None:
    """A version that says what has this digest: the last, if several do."""
    return _version(connection, (VERSIONS.c.kind == kind) & (VERSIONS.c.digest == digest))


def of_kind(connection: Connection, kind: str) -> list[Version]:
    """All versions of a kind, the first one first."""
    query = select(VERSIONS).where(VERSIONS.c.kind == kind).order_by(VERSIONS.c.number)
    return [_of_row(row) for row in connection.execute(query)]


def current(connection: Connection) -> CurrentVersions:
    """What judges now. UsageError if nothing was declared, or no profile is used."""
    network, library = newest(connection, NETWORK), newest(connection, LIBRARY)
    if network is None:
        raise UsageError("nothing has been declared yet", hint="declare(files, by=…) comes first")
    if library is None:
        raise UsageError("no profile is used yet", hint="use(profiles, lists, by=…) comes first")
    return CurrentVersions(network, library)


def files_of(connection: Connection, version: Version) -> list[File]:
    """The texts of a version, in their order."""
    query = (
        select(FILES.c.role, FILES.c.name, CONTENTS.c.content)
        .join_from(FILES, CONTENTS, FILES.c.content == CONTENTS.c.digest)
        .where(FILES.c.version == version.number)
        .order_by(FILES.c.position)
    )
    return [File(role, name, content.encode()) for role, name, content in connection.execute(query)]


def granted(connection: Connection, until: int) -> list[Waiver]:
    """The waivers granted in versions up to this number, in their order."""
    query = select(WAIVERS).where(WAIVERS.c.version <= until).order_by(WAIVERS.c.version, WAIVERS.c.position)
    return [
        Waiver(
            row.rule,
            row.subject,
            row.role,
            row.reason,
            date.fromisoformat(row.from_day),
            date.fromisoformat(row.until_day),
        )
        for row in connection.execute(query)
    ]


def read(connection: Connection, version: Version) -> Network | Library:
    """What a version says. IntegrityError if its texts no longer say what has its digest.

    UnavailableError if that may be because another engine read them.
    """
    said = parse(connection, version)
    if said.digest != version.digest:
        name = f"version {version.number} of the {version.kind}"
        if version.engine != ENGINE:
            message = f"{name} was kept by the engine {version.engine}, and {ENGINE} reads its texts otherwise"
            raise UnavailableError(message, hint="renew() keeps the newest versions as this release reads them")
        raise IntegrityError(f"{name} was kept as {version.digest[:16]}… and its texts now say {said.digest[:16]}…")
    return said


def parse(connection: Connection, version: Version) -> Network | Library:
    """What the texts of a version say to this engine, whatever its digest."""
    files = files_of(connection, version)
    if version.kind == NETWORK:
        return network_of(files, granted(connection, version.number))
    return library_of(files)


def store(
    connection: Connection,
    said: Network | Library,
    files: Sequence[File],
    stamp: Stamp,
    waivers: Sequence[Waiver] = (),
) -> Version:
    """Add a version. One that says the same in the same texts as the last is no new one: that is given back."""
    kind, digest = NETWORK if isinstance(said, Network) else LIBRARY, said.digest
    last = newest(connection, kind)
    if last and last.digest == digest and not waivers and _texts(files_of(connection, last)) == _texts(files):
        return last
    number = (connection.scalar(select(func.max(VERSIONS.c.number))) or 0) + 1
    connection.execute(VERSIONS.insert().values(number=number, kind=kind, digest=digest, engine=ENGINE, **stamp.row))
    contents = {each.digest: each.content.decode() for each in files}
    there = set(connection.scalars(select(CONTENTS.c.digest).where(CONTENTS.c.digest.in_(contents))))
    _insert(connection, CONTENTS, ({"digest": each, "content": contents[each]} for each in contents.keys() - there))
    rows = [{"role": each.role, "name": each.name, "content": each.digest} for each in files]
    _insert(connection, FILES, ({"version": number, "position": place} | row for place, row in enumerate(rows)))
    _insert(connection, WAIVERS, (_waiver_row(number, place, each) for place, each in enumerate(waivers)))
    return Version(number, kind, digest, ENGINE, stamp.who, stamp.at_ns)


def _texts(files: Iterable[File]) -> list[tuple[str, str, str]]:
    return [(each.role, each.name, each.digest) for each in files]


def _waiver_row(version: int, position: int, waiver: Waiver) -> Mapping[str, object]:
    return {
        "version": version,
        "position": position,
        "rule": waiver.rule,
        "subject": waiver.subject,
        "role": waiver.role,
        "reason": waiver.reason,
        "from_day": waiver.from_date.isoformat(),
        "until_day": waiver.until_date.isoformat(),
    }


def _insert(connection: Connection, table: Any, rows: Iterable[Mapping[str, object]]) -> None:
    if listed := list(rows):
        connection.execute(table.insert(), listed)


def _version(connection: Connection, which: ColumnElement[bool]) -> Version | None:
    row = connection.execute(select(VERSIONS).where(which).order_by(VERSIONS.c.number.desc()).limit(1)).first()
    return _of_row(row) if row else None


def _of_row(row: Row[Any]) -> Version:
    return Version(row.number, row.kind, row.digest, row.engine, row.who, row.at_ns)
