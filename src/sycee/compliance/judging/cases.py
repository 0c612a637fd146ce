"""Golden cases: a small network, the regimes that judge it, and the findings that are expected, in one file.

A case states in TOML what a person checked against a source::

    id = "first-case"                      # that of the file
    title = "…"
    source = "…"                           # the text that supports the expectations, or that the case is made up
    at_hand = true                         # false: the source itself could not be read; left out: there is no source
    at = 2024-02-01                        # the day as of which the network is judged
    profiles = ["a-profile", "own.toml"]   # shipped ones by name, others by path from the case's folder
    expect = [
      { subject = "pay @ link", rule = "a-profile/a-rule", verdict = "fail", row = "A Party" },
      { subject = "a-bank", rule = "a-profile/another", verdict = "unknown", missing = ["a-bank.licences"] },
    ]
    list_files = ["own-list.toml"]         # optional: additional lists, or replacements of shipped ones
    [[lists]]                              # optional: the same, written here

    [network]                              # and all other keys of declarations
    …

A subject is an entity, or FLOW @ ENTITY for an element on the path of a flow. Besides its verdict an expectation may
have: `at`, another day; `force`, how the regime binds; `stops`, whether the finding stops its subject; `missing` and
`conflicts_with`, which must be among those of the finding; `row`, `chain` and `says`, texts that the listed row, the
ownership chain and the message must contain.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path

from sycee import data
from sycee.compliance import common_fields, declarations, library, profiles
from sycee.compliance.facts import Network
from sycee.compliance.judging.judge import Judge
from sycee.compliance.profiles import Library
from sycee.compliance.verdicts import ON_PATH, Finding, Force, Verdict
from sycee.compliance.vocabulary import FLOW
from sycee.core import documents, typos
from sycee.core.documents import Table
from sycee.core.errors import UsageError

_VERDICTS = {verdict.word: verdict for verdict in Verdict}
_FORCES = {force.word: force for force in Force}


@dataclass(frozen=True, slots=True)
class Expectation:
    """The expected finding of one rule about one subject on one day. Empty fields and None match anything."""

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
    place: str = ""

    def problems(self, found: Finding | None) -> tuple[str, ...]:
        """Return how a finding differs, a sentence each; nothing if it is as expected."""
        if found is None:
            return (f"there is no finding of {self.rule} for {self.subject}",)
        compared: list[tuple[str, object, object]] = [("verdict", self.verdict.word, found.verdict.word)]
        if self.force is not None:
            compared.append(("force", self.force.word, found.force.word))
        if self.stops is not None:
            compared.append(("stops", self.stops, found.stops))
        problems = [f"{name}: expected {wanted}, found {got}" for name, wanted, got in compared if wanted != got]
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

    id: str
    title: str
    source: str
    at_hand: bool | None
    library: Library
    network: Network
    expectations: tuple[Expectation, ...]
    place: str = field(default="", compare=False)

    def run(self, regimes: Library | None = None) -> tuple[ExpectationResult, ...]:
        """Judge the network and compare. `regimes` replaces the library of the case, such as by a mutated one."""
        findings = _Findings(self.network, self.library if regimes is None else regimes)
        found = [(each, findings.of(each)) for each in self.expectations]
        return tuple(ExpectationResult(each, finding, each.problems(finding)) for each, finding in found)

    @cached_property
    def rules(self) -> frozenset[str]:
        """The rules that have an expectation."""
        return frozenset(each.rule for each in self.expectations)


class _Findings:
    """The findings about one network, by day and subject, each judged once."""

    def __init__(self, network: Network, regimes: Library) -> None:
        self._network = network
        self._regimes = regimes
        self._judges: dict[date, Judge] = {}
        self._found: dict[tuple[date, str], dict[tuple[str, str], Finding]] = {}

    def of(self, expectation: Expectation) -> Finding | None:
        """Return the finding that an expectation is about, if there is one."""
        whole = expectation.subject.partition(ON_PATH)[0]
        key = (expectation.at, whole)
        if key not in self._found:
            judge = self._judges.get(expectation.at)
            if judge is None:
                judge = self._judges[expectation.at] = Judge(self._network, self._regimes, expectation.at)
            is_flow = self._network.entities[whole].kind == FLOW
            findings = judge.flow(whole) if is_flow else judge.findings(whole)
            self._found[key] = {(each.rule, each.subject): each for each in findings}
        return self._found[key].get((expectation.rule, expectation.subject))


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
    name, title, source = common_fields.name(table, "id"), table.text("title"), table.text("source")
    at_hand = table.boolean("at_hand") if "at_hand" in table else None
    table.offer("at_hand")
    at = table.day("at")
    own = [profiles.parse_list(each) for each in common_fields.optional_tables(table, "lists")]
    files = [folder / each for each in table.texts("list_files", default=())]
    regimes = library.load([_placed(each, folder) for each in table.texts("profiles")], [*files, *own])
    expected = table.tables("expect")
    network = declarations.parse_embedded(table)
    table.finish()
    expectations = tuple(_expectation(each, at, regimes, network) for each in expected)
    return Case(name, title, source, at_hand, regimes, network, expectations, f"{table.file}:{table.line()}")


def _in_folder(folder: Path, files: list[Path]) -> list[Case]:
    # A document that names profiles is a case, even if it lacks expectations: that is an error.
    tables = [each for each in map(documents.read, files) if "expect" in each or "profiles" in each]
    if not tables:
        hint = "a case has the expected findings in [[expect]]; name a folder with one, or a file"
        raise UsageError(f"{folder} contains no golden case", hint=hint)
    return [parse(each, folder) for each in tables]


def _placed(profile: str, folder: Path) -> str | Path:
    return folder / profile if "/" in profile or profile.endswith(".toml") else profile


def _expectation(table: Table, at: date, regimes: Library, network: Network) -> Expectation:
    subject, rule = table.text("subject"), table.text("rule")
    for part in subject.split(ON_PATH):
        _require_name(table, "subject", part, network.entities)
    _require_name(table, "rule", rule, regimes.rules)
    expectation = Expectation(
        subject=subject,
        rule=rule,
        verdict=_VERDICTS[table.choice("verdict", tuple(_VERDICTS))],
        at=common_fields.optional_day(table, "at") or at,
        force=_FORCES[table.choice("force", tuple(_FORCES))] if "force" in table else None,
        stops=table.boolean("stops") if "stops" in table else None,
        missing=table.texts("missing", default=()),
        conflicts_with=table.texts("conflicts_with", default=()),
        row=common_fields.optional(table, "row"),
        chain=common_fields.optional(table, "chain"),
        says=common_fields.optional(table, "says"),
        place=f"{table.file}:{table.line()}",
    )
    for key in ("force", "stops"):
        table.offer(key)
    table.finish()
    return expectation


def _require_name(table: Table, key: str, value: str, names: Collection[str]) -> None:
    if value not in names:
        right = typos.hint(value, names, f"one of: {', '.join(sorted(names)) or 'nothing is declared'}")
        raise table.error(key, f"found {documents.found(value)}, which does not exist", right=right)
