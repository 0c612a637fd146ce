"""Declarations: TOML files about one network, read according to `vocabulary`.

A file has a list of tables for each kind of entities. The vocabulary defines kinds, fields, words and references; no
code here names its own kind. A field that is omitted is unknown. Several files, or a folder, form one network;
one of them has [network]::

    network = load([Path("network")])
    network.entities["first-bank"].facts["state"].value

References to undeclared ids are allowed; facts of such an entity are unknown. But an id that is one typing error away
from a declared id is an error, unless [network] lists it as `undeclared`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path

from blake3 import blake3

from sycee.compliance import attestations, document_fields
from sycee.compliance import authority as authorities
from sycee.compliance.attestations import UnverifiedAttestation
from sycee.compliance.authority import ADOPT, ATTEST, DECLARE, SUFFIX, WAIVE, Authority, FileSignature
from sycee.compliance.canonical import canonical
from sycee.compliance.document_fields import READERS
from sycee.compliance.facts import (
    Adoption,
    Assurance,
    Attestation,
    Element,
    Entity,
    Fact,
    Network,
    Value,
    Waiver,
    says_something,
    waiver_days_max,
)
from sycee.compliance.verdicts import ON_PATH
from sycee.compliance.vocabulary import BASIS_POINTS, EXCLUDED, KINDS, OF_PERSONS, ORGANISATION, EntityKind, Field, Type
from sycee.core import documents, typos
from sycee.core.documents import Table
from sycee.core.errors import UnavailableError, UsageError


def load(paths: Sequence[Path], authority: Authority | None = None) -> Network:
    """Return the network that these files, and the TOML files of these folders, declare together.

    A signature beside a file, FILE.sig, is verified. `authority` states which keys may do what.

    DocumentError, with file and line, for an invalid declaration; UsageError for a folder without TOML files.
    """
    return parse_files(read_files(paths), authority)


def read_files(paths: Sequence[Path]) -> dict[str, bytes]:
    """Return the content of the files and of the signatures beside them, by name, to store them as they are."""
    files: dict[str, bytes] = {}
    for path in paths:
        in_folder = toml_files(path, hint="name a folder with declarations, or a file")
        try:
            files |= {str(file): documents.content(file) for file in ([path] if in_folder is None else in_folder)}
        except UsageError as error:
            if os.path.lexists(path):
                raise
            hint = "check the path, which is case-sensitive"
            raise UsageError(f"there is no file or folder {path}", hint=hint) from error
    for name in list(files):
        signature = Path(f"{name}{SUFFIX}")
        if os.path.lexists(signature):
            files[str(signature)] = documents.content(signature)
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
    """Return the network that one document declares; errors call it `file`."""
    return parse_files({file: content})


def parse_files(files: Mapping[str, bytes | str], authority: Authority | None = None) -> Network:
    """Return the network that these documents declare together; errors use the names. `NAME.sig` is a signature."""
    plain, signatures = authorities.split(files)
    tables = [documents.parse(content, file) for file, content in plain.items()]
    return _Reader(tables, whole=True, authority=authority, signatures=signatures).read()


def network_id(files: Mapping[str, bytes]) -> str:
    """Return the id of the [network] that one of these documents has; empty if none has one."""
    tables = [documents.parse(content, file) for file, content in files.items()]
    return next((document_fields.name(each.table("network"), "id") for each in tables if "network" in each), "")


def parse_embedded(table: Table) -> Network:
    """Return the network in a document that has other keys too. The caller reads those and calls `finish`."""
    return _Reader([table]).read()


def text_digest(content: bytes) -> str:
    """Return the BLAKE3 digest of a file's bytes, 64 hexadecimal digits. `Network.digest` is of the content instead."""
    return blake3(content).hexdigest()


@dataclass(frozen=True, slots=True)
class _Reference:
    """An id in a file, looked up after all files are read. Empty `kinds`: of any kind."""

    table: Table
    key: str
    id: str
    kinds: tuple[str, ...] = ()


class _Reader:
    """Reads documents: first the entities, then references, shares, keys and attestations against them.

    The provenance of facts is a fact without value. Its place is that of the entity: looking up the line of each fact
    would take most of the reading time.
    """

    def __init__(
        self,
        tables: Sequence[Table],
        *,
        whole: bool = False,
        authority: Authority | None = None,
        signatures: Mapping[str, FileSignature] | None = None,
    ) -> None:
        self.tables = tables
        self.whole = whole  # whether the documents have no other keys
        self.authority = authority
        self.signatures = signatures or {}  # by the names of the files
        # The keys that signed files, by the names of the files.
        self.signers = {file: each.key for file, each in self.signatures.items()}
        self.notes: list[str] = []
        self.unsigned: set[str] = set()  # the entities whose facts do not count
        self.holders: dict[str, str] = {}  # the organisations that declare keys, by these
        self.head = self._head()
        assurance = _assurance(self.head, Assurance.DECLARED)
        self.undeclared = frozenset(self.head.texts("undeclared", default=(), empty=True))
        self.as_of, source = self.head.day("as_of"), self.head.text("source", "")
        synthetic = self.head.boolean("synthetic", False)
        self.provenance = Fact("", source, self.as_of, assurance, synthetic=synthetic)
        self.entities: dict[str, Entity] = {}
        self.tables_of: dict[str, Table] = {}  # by the id of their entity
        self.references: list[_Reference] = []

    def read(self) -> Network:
        """Return the whole network."""
        name, title = document_fields.name(self.head, "id"), self.head.text("title")
        if self.authority is not None and self.authority.network != name:
            right = f"the authority file of {name}; the given one is of {self.authority.network}"
            raise self.head.error("id", f"found {documents.found(name)}", right=right)
        for each in self.signatures.values():
            if each.network != name:
                problem = f"the file was signed for {documents.found(each.network)}, and is given for {name}"
                right = f"have it signed for {name}: sycee compliance sign"
                raise each.table.error("network", problem, right=right)
        network = Network(name, title, self.as_of, self.entities)
        self.head.finish()
        unverified: list[UnverifiedAttestation] = []
        adoptions: list[Adoption] = []
        waivers: list[Waiver] = []
        for document in self.tables:
            document.offer("network")
            read = partial(document_fields.read_tables, document, empty=True)
            for kind in KINDS.values():
                read(kind.plural, partial(self._entity, kind))
            unverified += read("attestations", self._attestation)
            if self.authority is None:
                self._refuse_decisions(document)
            adoptions += read("adoptions", self._adoption)
            waivers += read("waivers", self._waiver)
            if self.whole:
                document.finish()
        self._check_references()
        for organisation in network.of_kind(ORGANISATION):
            self._check_form(organisation)
            self._check_shares(organisation)
            self._check_key(organisation)
        # Sorted, so that the digest does not depend on the order of the files.
        return replace(
            network,
            attestations=tuple(sorted(self._verified(unverified, network), key=canonical)),
            adoptions=tuple(sorted(adoptions, key=canonical)),
            waivers=tuple(sorted(waivers, key=canonical)),
            notes=tuple(self.notes),
            signed_only=self.authority is not None and self.authority.signed_only,
        )

    def _refuse_decisions(self, document: Table) -> None:
        """Raise DocumentError for adoptions and waivers in a file other than that with [network].

        A participant declares facts of its own; the person who answers for the whole network decides what binds it.
        """
        for key in ("adoptions", "waivers"):
            tables = document.tables(key, empty=True) if key in document and document.file != self.head.file else ()
            if tables:
                right = f"in {self.head.file}, the file with [network]"
                raise tables[0].error(None, "is in a file of declarations alone", right=right)

    def _head(self) -> Table:
        heads = [document.table("network") for document in self.tables if "network" in document]
        if len(heads) > 1:
            problem = f"is already in {heads[0].file}:{heads[0].line()}"
            raise heads[1].error(None, problem, right="one [network] for all files together")
        if not heads:
            right = 'add it to one file: [network], id = "…", title = "…", as_of = 2026-01-31'
            raise self.tables[0].error(None, "no file has a [network]", right=right)
        return heads[0]

    def _entity(self, kind: EntityKind, table: Table) -> None:
        name = document_fields.name(table, "id")
        if name in self.tables_of:
            first = self.tables_of[name]
            problem = f"{documents.found(name)} is already in {first.file}:{first.line('id')}"
            raise table.error("id", problem, right="another id: ids are unique in the whole network")
        provenance = self._provenance(table, self.provenance)
        of_fields = self._provenance_of_fields(kind, table, provenance)
        self.tables_of[name] = table
        self.entities[name] = Entity(
            kind=kind.name,
            id=name,
            name=table.text("name", name),
            facts=self._authorised(name, table, self._facts(table, kind.fields, provenance, of_fields)),
            synthetic=provenance.synthetic,
            place=provenance.place,
        )

    def _provenance(self, table: Table, default: Fact) -> Fact:
        assurance = _assurance(table, default.assurance)
        as_of = document_fields.optional_day(table, "as_of", default.as_of)
        source = table.text("source", default.source)
        if assurance is Assurance.REPORTED and not source:
            raise table.error(None, "is reported, and has no source", right='the newspaper and the day: source = "…"')
        return Fact(
            "",
            source,
            as_of,
            assurance=assurance,
            expires=document_fields.until(table, "expires", as_of) or default.expires,
            synthetic=table.boolean("synthetic", default.synthetic),
            place=default.place or document_fields.place(table),
        )

    def _provenance_of_fields(self, kind: EntityKind, table: Table, default: Fact) -> dict[str, Fact]:
        """Read the provenance of single fields: `provenance = { FIELD = { source = … } }`."""
        if "provenance" not in table:
            table.offer("provenance")
            return {}
        fields = table.table("provenance")
        of_fields: dict[str, Fact] = {}
        for name in fields.names():
            if kind.field(name) and name not in table:
                raise fields.error(name, "is not declared here", right=f"declare {name}, or remove this")
        for field in kind.fields:
            fields.offer(field.name)
            if field.name in fields:
                each = fields.table(field.name)
                of_fields[field.name] = self._provenance(each, default)
                each.finish()
        fields.finish()
        return of_fields

    def _facts(
        self, table: Table, fields: Iterable[Field], provenance: Fact, of_fields: Mapping[str, Fact]
    ) -> dict[str, Fact]:
        facts: dict[str, Fact] = {}
        for field in fields:
            if field.name not in table:
                table.offer(field.name)
                continue
            of = of_fields.get(field.name, provenance)
            value = self._value(table, field, of)
            facts[field.name] = Fact(value, of.source, of.as_of, of.assurance, of.expires, of.synthetic, of.place)
        return facts

    def _value(self, table: Table, field: Field, provenance: Fact) -> Value:
        if field.type is Type.ELEMENTS:
            read = partial(self._element, field, provenance)
            return document_fields.read_tables(table, field.name, read, empty=True)
        value: Value = READERS[field.type](table, field)
        if field.type in (Type.REFERENCE, Type.REFERENCES):
            ids = value if isinstance(value, tuple) else (value,)
            self.references += [_Reference(table, field.name, str(id), field.kinds) for id in ids]
        return value

    def _element(self, field: Field, provenance: Fact, table: Table) -> Element:
        from_date = document_fields.optional_day(table, "from")
        until_date = document_fields.until(table, "until", from_date)
        return Element(self._facts(table, field.fields, provenance, {}), from_date, until_date, provenance.place)

    def _attestation(self, table: Table) -> UnverifiedAttestation:
        unverified = attestations.read(table, self.as_of, self.provenance.source)
        self.references.append(_Reference(table, "subject", unverified.attestation.subject))
        self.references.append(_Reference(table, "by", unverified.attestation.by, (ORGANISATION,)))
        return unverified

    def _adoption(self, table: Table) -> Adoption:
        adoption = document_fields.read(Adoption, table)
        self._require(ADOPT, adoption.profile, table)
        return adoption

    def _waiver(self, table: Table) -> Waiver:
        waiver = document_fields.read(Waiver, table)
        self._require(WAIVE, waiver.subject, table)
        for key, text in (("role", waiver.role), ("reason", waiver.reason)):
            if not says_something(text):
                raise table.error(key, f"found {documents.found(text)}", right="a text with letters or digits")
        longest = (self.authority and self.authority.waiver_days_max) or waiver_days_max()
        if waiver.days > longest:
            problem = f"a waiver from {waiver.from_date} to {waiver.until_date} has {waiver.days:,} days"
            last = waiver.from_date + timedelta(days=longest)
            raise table.error("until", problem, right=f"at most {longest} days: {last} or an earlier day")
        for each in waiver.subject.split(ON_PATH):
            document_fields.check_text(table, "subject", each, document_fields.NAME)
            self.references.append(_Reference(table, "subject", each))
        return waiver

    def _authorised(self, id: str, table: Table, facts: dict[str, Fact]) -> dict[str, Fact]:
        """Return the facts that count of an entity. DocumentError if the key of the file may not declare it."""
        if self.authority is None:
            return facts
        key = self.signers.get(table.file, "")
        if key:
            self._require(DECLARE, id, table)
        elif self.authority.signed_only:
            self.unsigned.add(id)
            self.notes.append(f"{table.file} is not signed, so the facts of {id} are unknown")
            return {}
        return facts

    def _require(self, role: str, subject: str, table: Table) -> None:
        """Raise DocumentError unless the key that signed the file has a role for a subject."""
        if self.authority is None:
            return
        key = self.signers.get(table.file, "")
        if self.authority.may(key, role, subject):
            return
        who = self.authority.holder(key) if key else ""
        problem = f"{table.file} is not signed"
        if key:
            problem = f"{who or 'the key that signed ' + table.file} has no authority to {role} here"
        right = f'a signature by a key with the role "{role}" for {subject}: sycee compliance sign'
        raise table.error(None, problem, right=right)

    def _verified(self, unverified: Sequence[UnverifiedAttestation], network: Network) -> list[Attestation]:
        """Return the attestations that count, each with its signature verified. The others get a note."""
        counting = []
        for each in unverified:
            attestation = each.attestation
            about = f"the attestation of {attestation.subject} by {attestation.by} does not count"
            by = network.entities.get(attestation.by)
            if {attestation.subject, attestation.by} & self.unsigned:
                self.notes.append(f"{about}: the file that declares either is not signed")
                continue
            if not attestation.signed and attestation.assurance not in attestations.SIGNED:
                signer = self.signers.get(each.table.file, "")
                vouched = self.authority is not None and self.authority.may(signer, ATTEST, attestation.subject)
                if by is None or by.kind != ORGANISATION:
                    self.notes.append(f"{about}: it is not signed, and {attestation.by} is not declared")
                    continue
                if self.authority is not None and not vouched:
                    self.notes.append(f"{about}: it is not signed")
                    continue
            counted = attestations.verified(each, network)
            if counted.signed and by is not None:
                key = str(by.values("key")[0])
                if self.authority is not None and not self.authority.may(key, ATTEST, attestation.subject):
                    self.notes.append(f"{about}: its key has no authority to attest there")
                    continue
                self._require_another(key, counted, each.table)
            counting.append(counted)
        return counting

    def _require_another(self, key: str, attestation: Attestation, table: Table) -> None:
        """Raise DocumentError if the key of another organisation, or its holder, also declared what it attests."""
        subject = self.tables_of.get(attestation.subject)
        declarer = "" if subject is None else self.signers.get(subject.file, "")
        if not declarer or attestation.assurance is Assurance.SELF_SIGNED:
            return
        holder = self.authority.holder(key) if self.authority is not None else ""
        if key == declarer:
            problem = f"the key of {attestation.by} signed the declaration of {attestation.subject} too"
            raise table.error("by", problem, right="an attestation by an organisation with another key")
        if self.authority is not None and holder == self.authority.holder(declarer):
            problem = f"{holder} holds this key, and the one that signed the declaration of {attestation.subject}"
            raise table.error("by", problem, right="an attestation by a key of another holder")

    def _check_references(self) -> None:
        corrections: dict[str, str | None] = {}
        for reference in self.references:
            entity = self.entities.get(reference.id)
            if entity is None:
                if reference.id not in corrections:
                    corrections[reference.id] = typos.corrected(reference.id, self.entities)
                near = corrections[reference.id]
                if near and reference.id not in self.undeclared:
                    right = f'did you mean "{near}"? If not, add it to undeclared in [network]'
                    problem = f"found {documents.found(reference.id)}, which is not declared"
                    raise reference.table.error(reference.key, problem, right=right)
            elif reference.kinds and entity.kind not in reference.kinds:
                problem = f"{documents.found(reference.id)} is {_with_article(entity.kind)}, at {entity.place}"
                right = f"the id of {' or '.join(map(_with_article, reference.kinds))}"
                raise reference.table.error(reference.key, problem, right=right)

    def _check_form(self, organisation: Entity) -> None:
        """Raise DocumentError for facts that exclude each other, and for those of a person of anything else."""
        facts, table = organisation.facts, self.tables_of[organisation.id]
        person = organisation.values("person") == (True,)
        for name in (each for each in facts if each in EXCLUDED and (person or each != "person")):
            if name in OF_PERSONS and not person:
                raise table.error(name, "is a fact of a natural person", right="person = true as well, or remove it")
            other = next((each for each in EXCLUDED[name] if each in facts), None)
            if other is not None:
                right = "one of them: a branch is a part of its parent, and a person has no owners"
                right = right if name != "organised_in" else "organised_in alone, with all states"
                raise table.error(other, f"excludes {name}", right=right)

    def _check_shares(self, organisation: Entity) -> None:
        """Raise DocumentError if the shares in force on one day exceed the whole."""
        owners: tuple[Element, ...] = organisation.values("owners")
        for day in sorted({each.from_date or date.min for each in owners}):
            shares = [share for each in owners if each.in_force(day) for share in each.values("share_bp")]
            total = sum([*organisation.values("dispersed_bp"), *shares])
            if total > BASIS_POINTS:
                when = "" if day == date.min else f" from {day.isoformat()} on"
                problem = f"the shares{when}, with dispersed_bp, sum to {total:,} basis points"
                right = f"at most {BASIS_POINTS:,} basis points on any day; give the end of an earlier share as until"
                raise self.tables_of[organisation.id].error("owners", problem, right=right)

    def _check_key(self, organisation: Entity) -> None:
        for key in organisation.values("key"):
            other = self.holders.setdefault(key, organisation.id)
            if other != organisation.id:
                problem = f"is the key of {other} too: nobody audits itself under another name"
                raise self.tables_of[organisation.id].error("key", problem, right="a key of its own: sycee key new")
        if any(attestations.has_small_order(bytes.fromhex(each)) for each in organisation.values("key")):
            problem = "is a point of small order: anybody can sign with it"
            raise self.tables_of[organisation.id].error("key", problem, right="a key that `sycee key new` made")


def _assurance(table: Table, default: Assurance) -> Assurance:
    """Read the assurance of declared facts: "reported", or nothing. Only a signed attestation makes a fact surer."""
    if "assurance" not in table:
        table.offer("assurance")
        return default
    if table.text("assurance") == Assurance.REPORTED.word:
        return Assurance.REPORTED
    right = "remove it; an organisation that checked the fact signs an attestation: sycee compliance attest"
    raise table.error(
        "assurance",
        "a declared fact always has the assurance declared; or reported, if it is from the press",
        right=right,
    )


def _with_article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
