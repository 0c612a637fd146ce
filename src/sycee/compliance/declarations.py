"""Declarations: TOML files about one network, read by the one table of `vocabulary`.

A file has a list of tables for each kind of entities. What a field holds, which words and which kinds of entities it
may name is the vocabulary's to say; nothing here knows a kind. What is left out is unknown. Several files, or a folder,
are put together; [network] stands in one of them::

    network = load([Path("network")])
    network.entities["first-bank"].facts["state"].value

An id that nobody declares may be named: what it stands for is then unknown. But one that is a slip away from a declared
one is an error, unless [network] lists it as `undeclared`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

from blake3 import blake3

from sycee.compliance import attestations, common_fields, profiles
from sycee.compliance.attestations import UnverifiedAttestation
from sycee.compliance.canonical import canonical
from sycee.compliance.facts import Adoption, Element, Entity, Fact, Network, Value, Waiver
from sycee.compliance.verdicts import ON_PATH
from sycee.compliance.vocabulary import BASIS_POINTS, BY_PLURAL, KINDS, ORGANISATION, Field, Kind, Type
from sycee.core import documents, typos
from sycee.core.documents import Table
from sycee.core.errors import UnavailableError, UsageError


def load(paths: Sequence[Path]) -> Network:
    """The network that these files, and the TOML files of these folders, declare together.

    DocumentError says what cannot be, in which file and line; UsageError that a folder contains no TOML file.
    """
    return parse_files(read_files(paths))


def read_files(paths: Sequence[Path]) -> dict[str, bytes]:
    """The files themselves, by name, in their order: for whoever keeps every version as it was written."""
    files: dict[str, bytes] = {}
    for path in paths:
        in_folder = toml_files(path, hint="name a folder with declarations, or a file")
        files |= {str(file): documents.content(file) for file in ([path] if in_folder is None else in_folder)}
    if not files:
        raise UsageError("no declaration was named", hint="name a folder with declarations, or files")
    return files


def toml_files(path: Path, *, hint: str) -> list[Path] | None:
    """Return the TOML files of a folder, sorted; None if the path is not a folder.

    UsageError with `hint` if the folder has none, UnavailableError if it cannot be read.
    """
    try:
        if not path.is_dir():
            return None
        files = sorted(each for each in path.iterdir() if each.suffix == ".toml")
    except OSError as error:
        hint = "check the permissions of the folder and of the folders above it"
        raise UnavailableError(f"{path} cannot be read: {error.strerror}", hint=hint) from error
    if not files:
        raise UsageError(f"{path} contains no TOML file", hint=hint)
    return files


def parse(content: bytes | str, file: str) -> Network:
    """The network that one document declares; `file` is the name that errors give."""
    return parse_files({file: content})


def parse_files(files: Mapping[str, bytes | str]) -> Network:
    """The network that these documents, by the names that errors give, declare together."""
    return _Reader([documents.parse(content, file) for file, content in files.items()], whole=True).read()


def parse_embedded(table: Table) -> Network:
    """The network that a document declares beside other things, which are left for the caller to read and finish."""
    return _Reader([table]).read()


def text_digest(content: bytes) -> str:
    """BLAKE3 of a file as it is, 64 hexadecimal digits: a version of its text, where `Network.digest` is of content."""
    return blake3(content).hexdigest()


@dataclass(frozen=True, slots=True)
class _About:
    """Where facts come from, unless they say so themselves."""

    source: str
    as_of: date
    expires: date | None
    synthetic: bool
    place: str  # file and line of the entity: those of each of its lines would cost more than all the rest


@dataclass(frozen=True, slots=True)
class _Mention:
    """An id somewhere in a file, to be looked up when all files are read. Of any kind, if it says none."""

    table: Table
    key: str
    id: str
    kinds: tuple[str, ...] = ()


class _Reader:
    """Takes documents apart. Entities are read first, then what is said of them is compared with what is there."""

    def __init__(self, tables: Sequence[Table], *, whole: bool = False) -> None:
        self.tables = tables
        self.whole = whole  # whether the documents hold nothing else
        self.head = self._head()
        _check_assurance(self.head)
        self.undeclared = frozenset(self.head.texts("undeclared", default=(), empty=True))
        self.about = _About(
            source=common_fields.optional(self.head, "source"),
            as_of=self.head.day("as_of"),
            expires=None,
            synthetic=self.head.boolean("synthetic", False),
            place="",
        )
        self.entities: dict[str, Entity] = {}
        self.tables_of: dict[str, Table] = {}  # where each entity stands
        self.mentions: list[_Mention] = []

    def read(self) -> Network:
        """The whole network."""
        name, title = common_fields.name(self.head, "id"), self.head.text("title")
        self.head.finish()
        written: list[UnverifiedAttestation] = []
        adoptions: list[Adoption] = []
        waivers: list[Waiver] = []
        for document in self.tables:
            document.offer("network")
            for plural, kind in BY_PLURAL.items():
                for table in _tables(document, plural):
                    self._entity(kind, table)
            written += [self._attestation(table) for table in _tables(document, "attestations")]
            adoptions += [profiles.adoption(table) for table in _tables(document, "adoptions")]
            waivers += [self._waiver(table) for table in _tables(document, "waivers")]
            if self.whole:
                document.finish()
        self._check_mentions()
        for entity in self.entities.values():
            if entity.kind == ORGANISATION:
                self._check_shares(entity)
                self._check_key(entity)
        network = Network(name, title, self.about.as_of, self.entities)
        # In an order of their own, so that the digest does not hang on how the files are laid out.
        return replace(
            network,
            attestations=tuple(sorted((attestations.verified(each, network) for each in written), key=canonical)),
            adoptions=tuple(sorted(adoptions, key=canonical)),
            waivers=tuple(sorted(waivers, key=canonical)),
        )

    def _head(self) -> Table:
        heads = [document.table("network") for document in self.tables if "network" in document]
        if len(heads) > 1:
            problem = f"stands in {heads[0].file}:{heads[0].line()} already"
            raise heads[1].error(None, problem, right="one [network] for all files together")
        if not heads:
            right = 'add it to one file: [network], id = "…", title = "…", as_of = 2026-01-31'
            raise self.tables[0].error(None, "no file has a [network]", right=right)
        return heads[0]

    def _entity(self, kind: Kind, table: Table) -> None:
        name = common_fields.name(table, "id")
        if name in self.tables_of:
            first = self.tables_of[name]
            problem = f"{documents.found(name)} stands in {first.file}:{first.line('id')} already"
            raise table.error("id", problem, right="another id: each is one thing in the whole network")
        about = self._about(table, self.about)
        about_fields = self._provenance(kind, table, about)
        self.tables_of[name] = table
        self.entities[name] = Entity(
            kind=kind.name,
            id=name,
            name=common_fields.optional(table, "name", name),
            facts=self._facts(table, kind.fields, about, about_fields),
            synthetic=about.synthetic,
            place=about.place,
        )
        table.finish()

    def _about(self, table: Table, default: _About) -> _About:
        _check_assurance(table)
        as_of = common_fields.optional_day(table, "as_of", default.as_of)
        return _About(
            source=common_fields.optional(table, "source", default.source),
            as_of=as_of or default.as_of,
            expires=common_fields.until(table, "expires", as_of) or default.expires,
            synthetic=table.boolean("synthetic", default.synthetic),
            place=default.place or f"{table.file}:{table.line()}",
        )

    def _provenance(self, kind: Kind, table: Table, about: _About) -> dict[str, _About]:
        """Where single facts come from: `provenance = { FIELD = { source = … } }`."""
        if "provenance" not in table:
            table.offer("provenance")
            return {}
        fields = table.table("provenance")
        found: dict[str, _About] = {}
        for name in fields.names():
            if kind.field(name) and name not in table:
                raise fields.error(name, "is not declared here", right=f"declare {name}, or take this out")
        for field in kind.fields:
            fields.offer(field.name)
            if field.name in fields:
                each = fields.table(field.name)
                found[field.name] = self._about(each, about)
                each.finish()
        fields.finish()
        return found

    def _facts(
        self, table: Table, fields: Iterable[Field], about: _About, about_fields: Mapping[str, _About]
    ) -> dict[str, Fact]:
        facts: dict[str, Fact] = {}
        for field in fields:
            if field.name not in table:
                table.offer(field.name)
                continue
            of = about_fields.get(field.name, about)
            value = self._value(table, field, of)
            facts[field.name] = Fact(
                value, of.source, of.as_of, expires=of.expires, synthetic=of.synthetic, place=of.place
            )
        return facts

    def _value(self, table: Table, field: Field, about: _About) -> Value:
        if field.type is Type.ELEMENTS:
            return tuple(self._element(each, field, about) for each in table.tables(field.name, empty=True))
        value = _READERS[field.type](table, field)
        if field.type is Type.REFERENCE and isinstance(value, str):
            self.mentions.append(_Mention(table, field.name, value, field.kinds))
        elif field.type is Type.REFERENCES and isinstance(value, tuple):
            self.mentions += [_Mention(table, field.name, str(each), field.kinds) for each in value]
        return value

    def _element(self, table: Table, field: Field, about: _About) -> Element:
        from_date = common_fields.optional_day(table, "from")
        until_date = common_fields.until(table, "until", from_date)
        facts = self._facts(table, field.fields, about, {})
        table.finish()
        return Element(facts, from_date, until_date, about.place)

    def _attestation(self, table: Table) -> UnverifiedAttestation:
        written = attestations.read(table, self.about.as_of, self.about.source)
        self.mentions.append(_Mention(table, "subject", written.attestation.subject))
        self.mentions.append(_Mention(table, "by", written.attestation.by, (ORGANISATION,)))
        return written

    def _waiver(self, table: Table) -> Waiver:
        from_date, subject = table.day("from"), table.text("subject")
        for each in subject.split(ON_PATH):
            common_fields.check_name(table, "subject", each)
            self.mentions.append(_Mention(table, "subject", each))
        table.day("until")  # a waiver without an end would be a change of the rule
        waiver = Waiver(
            rule=common_fields.rule_name(table, "rule"),
            subject=subject,
            role=table.text("role"),
            reason=table.text("reason"),
            from_date=from_date,
            until_date=common_fields.until(table, "until", from_date) or from_date,
        )
        table.finish()
        return waiver

    def _check_mentions(self) -> None:
        near_ids: dict[str, str | None] = {}
        for mention in self.mentions:
            entity = self.entities.get(mention.id)
            if entity is None:
                if mention.id not in near_ids:
                    near_ids[mention.id] = typos.corrected(mention.id, self.entities)
                near = near_ids[mention.id]
                if near and mention.id not in self.undeclared:
                    right = f'did you mean "{near}"? If not, add it to undeclared in [network]'
                    problem = f"found {documents.found(mention.id)}, which is not declared"
                    raise mention.table.error(mention.key, problem, right=right)
            elif mention.kinds and entity.kind not in mention.kinds:
                problem = f"{documents.found(mention.id)} is {_a(entity.kind)}, at {entity.place}"
                right = f"the id of {' or '.join(_a(kind) for kind in mention.kinds)}"
                raise mention.table.error(mention.key, problem, right=right)

    def _check_shares(self, organisation: Entity) -> None:
        """Nobody holds what another one holds: shares in force on one day are the whole, at the most."""
        owners, dispersed = organisation.facts.get("owners"), organisation.facts.get("dispersed_bp")
        if owners is None or not isinstance(owners.value, tuple):
            return
        elements = [each for each in owners.value if isinstance(each, Element)]
        rest = dispersed.value if dispersed and isinstance(dispersed.value, int) else 0
        for day in sorted({each.from_date or date.min for each in elements}):
            total = rest + sum(_share(each) for each in elements if each.in_force(day))
            if total > BASIS_POINTS:
                when = "" if day == date.min else f" from {day.isoformat()} on"
                problem = f"the shares{when} come to {total:,} basis points, those dispersed among them"
                right = f"{BASIS_POINTS:,} basis points at the most on any day; say until when an earlier share counts"
                raise self.tables_of[organisation.id].error("owners", problem, right=right)

    def _check_key(self, organisation: Entity) -> None:
        fact = organisation.facts.get("key")
        if fact is not None and attestations.has_small_order(bytes.fromhex(str(fact.value))):
            problem = "is a point of small order: anybody can sign with it"
            raise self.tables_of[organisation.id].error("key", problem, right="a key that `sycee key new` made")


def _share(element: Element) -> int:
    fact = element.facts.get("share_bp")
    return fact.value if fact and isinstance(fact.value, int) else 0


def _check_assurance(table: Table) -> None:
    """Whoever declares something cannot make it surer by saying so: only a signature of somebody else tells them."""
    if "assurance" in table:
        right = "take it out: who vouches for a fact, or measured it, signs an attestation: sycee compliance attest"
        raise table.error("assurance", "a fact that is declared is declared, and no more", right=right)


def _tables(document: Table, key: str) -> tuple[Table, ...]:
    if key in document:
        return document.tables(key, empty=True)
    document.offer(key)
    return ()


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


# --- what a field holds, by its type ---


def _text(table: Table, field: Field) -> str:
    value = table.text(field.name)
    common_fields.check_text(table, field.name, value, field)
    return value


def _texts(table: Table, field: Field) -> tuple[str, ...]:
    values = table.texts(field.name, empty=True)
    for value in values:
        common_fields.check_text(table, field.name, value, field)
    return values


def _references(table: Table, field: Field) -> tuple[str, ...]:
    values = _texts(table, field)
    if (field.least is not None and len(values) < field.least) or (field.most is not None and len(values) > field.most):
        many = f"{field.least}" if field.least == field.most else f"{field.least or 0} to {field.most or 'any number'}"
        raise table.error(field.name, f"found {len(values)} ids", right=f"{many} different ones: {field.meaning}")
    return values


_READERS: Final[Mapping[Type, Callable[[Table, Field], Value]]] = {
    Type.TEXT: _text,
    Type.WORDS: _texts,
    Type.STATE: _text,
    Type.STATES: _texts,
    Type.BOOLEAN: lambda table, field: table.boolean(field.name),
    Type.INTEGER: lambda table, field: table.integer(field.name, least=field.least, most=field.most),
    Type.DATE: lambda table, field: table.day(field.name),
    Type.MOMENT: lambda table, field: table.moment(field.name),
    Type.REFERENCE: _text,
    Type.REFERENCES: _references,
}
assert set(_READERS) | {Type.ELEMENTS} == set(Type)
assert all(kind.name == name for name, kind in KINDS.items())
