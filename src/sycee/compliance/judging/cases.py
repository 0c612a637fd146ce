"""Golden cases: a small network, the regimes that judge it, and the findings that are expected, in one TOML file.

docs/reference/profiles.md, "Golden cases", has an example and every key.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Final

from sycee import data
from sycee.compliance import declarations, document_fields, library, profiles
from sycee.compliance.document_fields import Name
from sycee.compliance.facts import Network
from sycee.compliance.judging.judge import Judge
from sycee.compliance.profiles import Library
from sycee.compliance.verdicts import ON_PATH, Finding, Force, Verdict
from sycee.core import documents, typos
from sycee.core.documents import Table
from sycee.core.errors import UsageError

BY_TEXT: Final = (Verdict.PASS, Verdict.FAIL, Verdict.NOT_APPLICABLE)  # verdicts that the text of an article can give


@dataclass(frozen=True, slots=True)
class Expectation:
    """The expected finding of one rule about one subject on one day. Empty fields and None match anything.

    `article` names the provision whose text alone gives the verdict, without an interpretation of ours.
    """

    subject: str
    rule: str
    verdict: Verdict
    at: date
    force: Force | None = None
    stops: bool | None = None
    missing: tuple[str, ...] = ()
    conflicts_with: tuple[str, ...] = ()
    row: str = ""
    chain: str = ""
    says: str = ""
    article: str = ""
    place: str = ""

    def problems(self, found: Finding | None) -> tuple[str, ...]:
        """Return how a finding differs, a sentence each; nothing if it is as expected."""
        if found is None:
            return (f"there is no finding of {self.rule} for {self.subject}",)
        equal: tuple[tuple[str, object, object], ...] = (
            ("verdict", self.verdict.word, found.verdict.word),
            ("force", None if self.force is None else self.force.word, found.force.word),
            ("stops", self.stops, found.stops),
        )
        problems = [f"{name}: expected {one}, found {two}" for name, one, two in equal if one not in (None, two)]
        for name, expected, actual in (
            ("missing", self.missing, found.missing),
            ("conflicts with", self.conflicts_with, found.conflicts_with),
        ):
            lacking = [each for each in expected if each not in actual]
            if lacking:
                problems.append(f"{name}: expected {', '.join(lacking)}, found {', '.join(actual) or 'nothing'}")
        for name, part, whole in (
            ("row", self.row, found.list_row),
            ("chain", self.chain, "; ".join(found.chain)),
            ("message", self.says, found.message),
        ):
            if part not in whole:
                problems.append(f'{name}: expected "{part}", found "{whole}"')
        return tuple(problems)


@dataclass(frozen=True, slots=True)
class ExpectationResult:
    """An expectation, its finding if there is one, and how the finding differs."""

    expectation: Expectation
    found: Finding | None
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether the finding is as expected."""
        return not self.problems


@dataclass(frozen=True)
class Case:
    """One golden case. `at_hand` is None for a case without a source, such as one that is made up."""

    id: Name
    title: str
    source: str
    at_hand: bool | None
    library: Library
    network: Network
    expectations: tuple[Expectation, ...]
    place: str = field(default="", compare=False)

    def run(self, regimes: Library | None = None) -> tuple[ExpectationResult, ...]:
        """Judge the network and compare. `regimes` replaces the library of the case, such as by a mutated one."""
        library = self.library if regimes is None else regimes

        @cache
        def judge(at: date) -> Judge:
            return Judge(self.network, library, at)

        @cache
        def findings(at: date, subject: str) -> dict[tuple[str, str], Finding]:
            return {(each.rule, each.subject): each for each in judge(at).findings_with_path(subject)}

        results = []
        for each in self.expectations:
            of_subject = findings(each.at, each.subject.partition(ON_PATH)[0])
            found = of_subject.get((each.rule, each.subject))
            results.append(ExpectationResult(each, found, each.problems(found)))
        return tuple(results)

    @cached_property
    def rules(self) -> frozenset[str]:
        """The rules that have an expectation."""
        return frozenset(each.rule for each in self.expectations)


def shipped() -> tuple[str, ...]:
    """Return the names of the shipped cases."""
    return data.names("cases")


def load(source: str | Path) -> Case:
    """Return the case in a file, or the shipped case of this name. DocumentError for an invalid file."""
    table = data.document("cases", source, "case")
    return parse(table, Path(table.file).parent)


def load_all(sources: Sequence[str | Path] = ()) -> tuple[Case, ...]:
    """Return the cases in these files and in the TOML files of these folders; without any, the shipped cases.

    Profiles and lists beside the cases of a folder are skipped. UsageError for a folder without a case.
    """
    found: list[Case] = []
    for source in sources or shipped():
        files = declarations.toml_files(Path(source), hint="name a folder with golden cases, or a file")
        found += [load(source)] if files is None else _in_folder(Path(source), files)
    return tuple(found)


def parse(table: Table, folder: Path) -> Case:
    """Return the case in a document. Its paths are relative to the folder."""
    at = table.day("at")
    own = document_fields.read_tables(table, "lists", profiles.parse_list)
    files = [folder / each for each in table.texts("list_files", default=())]
    regimes = library.load([_placed(each, folder) for each in table.texts("profiles")], [*files, *own])
    network = declarations.parse_embedded(table)
    expectation = partial(_expectation, at, regimes, network)
    expectations = document_fields.read_tables(table, "expect", expectation, required=True)
    case = document_fields.read(Case, table, library=regimes, network=network, expectations=expectations)
    table.finish()
    return case


def _in_folder(folder: Path, files: list[Path]) -> list[Case]:
    # A document that names profiles is a case, even if it lacks expectations: that is an error.
    tables = [each for each in map(documents.read, files) if "expect" in each or "profiles" in each]
    if not tables:
        hint = "a case has the expected findings in [[expect]]; name a folder with one, or a file"
        raise UsageError(f"{folder} contains no golden case", hint=hint)
    return [parse(each, folder) for each in tables]


def _placed(profile: str, folder: Path) -> str | Path:
    return folder / profile if "/" in profile or profile.endswith(".toml") else profile


def _expectation(at: date | None, regimes: Library, network: Network, table: Table) -> Expectation:
    subject, rule = table.text("subject"), table.text("rule")
    for part in subject.split(ON_PATH):
        _require_name(table, "subject", part, network.entities)
    _require_name(table, "rule", rule, regimes.rules)
    at = document_fields.optional_day(table, "at", at)
    made = document_fields.read(Expectation, table, subject=subject, rule=rule, at=at)
    if made.article and made.verdict not in BY_TEXT:
        right = f"only for {', '.join(each.word for each in BY_TEXT)}: no article says that a fact is not declared"
        raise table.error("article", f"is given for the verdict {made.verdict.word}", right=right)
    return made


def _require_name(table: Table, key: str, value: str, names: Collection[str]) -> None:
    if value not in names:
        right = typos.hint(value, names, f"one of: {', '.join(sorted(names)) or 'nothing is declared'}")
        raise table.error(key, f"found {documents.found(value)}, which does not exist", right=right)
