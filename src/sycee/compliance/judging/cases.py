"""Golden cases: a small network, the regimes that judge it, and what must come of it, in one file.

A case says in TOML what a person checked against a source::

    id = "first-case"                      # that of the file
    title = "…"
    source = "…"                           # what says so; made-up cases say that they are
    at_hand = true                         # false: the source itself was not there to be read; left out: there is none
    at = 2024-02-01                        # the day judged
    profiles = ["a-profile", "own.toml"]   # shipped ones by name, others by path from the case's folder
    expect = [
      { subject = "pay @ link", rule = "a-profile/a-rule", verdict = "fail", row = "A Party" },
      { subject = "a-bank", rule = "a-profile/another", verdict = "unknown", missing = ["a-bank.licences"] },
    ]
    list_files = ["own-list.toml"]         # may be left out: lists of one's own, or in place of shipped ones
    [[lists]]                              # the same, written here

    [network]                              # and all else that declarations have
    …

A subject is an entity, or what lies on the path of a flow, as FLOW @ ENTITY. Besides its verdict an expectation may
say: `at`, another day; `force`, how the regime binds; `stops`, whether it keeps the subject from going on; `missing`
and `conflicts_with`, which have to be among those found; `row`, `chain` and `says`, texts that the listed row, the
ownership chain and the message have to hold.
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
    """What must come of one rule for one subject on one day. What is empty or None may be anything."""

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
        """What is otherwise in a finding, each a sentence; none if all is as expected."""
        if found is None:
            return (f"there is no finding of {self.rule} for {self.subject}",)
        compared: list[tuple[str, object, object]] = [("verdict", self.verdict.word, found.verdict.word)]
        if self.force is not None:
            compared.append(("force", self.force.word, found.force.word))
        if self.stops is not None:
            compared.append(("stops", self.stops, found.stops))
        problems = [f"{name}: expected {wanted}, found {got}" for name, wanted, got in compared if wanted != got]
        for name, values, there in (
            ("missing", self.missing, found.missing),
            ("conflicts with", self.conflicts_with, found.conflicts_with),
        ):
            lacking = [each for each in values if each not in there]
            if lacking:
                problems.append(f"{name}: expected {', '.join(lacking)}, found {', '.join(there) or 'nothing'}")
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
    """What came of an expectation: the finding, if there is one, and what is otherwise in it."""

    expectation: Expectation
    found: Finding | None
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether all is as expected."""
        return not self.problems


@dataclass(frozen=True)
class Case:
    """One case. `at_hand` is None where it rests on no source, as those that are made up."""

    id: str
    title: str
    source: str
    at_hand: bool | None
    library: Library
    network: Network
    expectations: tuple[Expectation, ...]
    place: str = field(default="", compare=False)

    def run(self, regimes: Library | None = None) -> tuple[ExpectationResult, ...]:
        """Judge it, and compare. `regimes` are others in place of its own, as those that a test has spoilt."""
        findings = _Findings(self.network, self.library if regimes is None else regimes)
        return tuple(self._outcome(each, findings) for each in self.expectations)

    @staticmethod
    def _outcome(expectation: Expectation, findings: _Findings) -> ExpectationResult:
        found = findings.of(expectation)
        return ExpectationResult(expectation, found, expectation.problems(found))

    @cached_property
    def rules(self) -> frozenset[str]:
        """The rules that it expects something of."""
        return frozenset(each.rule for each in self.expectations)


class _Findings:
    """The findings of one network, by the day and the subject, each judged once."""

    def __init__(self, network: Network, regimes: Library) -> None:
        self._network = network
        self._regimes = regimes
        self._judges: dict[date, Judge] = {}
        self._found: dict[tuple[date, str], dict[tuple[str, str], Finding]] = {}

    def of(self, expectation: Expectation) -> Finding | None:
        """The finding that an expectation is about, if there is one."""
        whole = expectation.subject.partition(ON_PATH)[0]
        key = (expectation.at, whole)
        if key not in self._found:
            judge = self._judges.get(expectation.at)
            if judge is None:
                judge = self._judges[expectation.at] = Judge(self._network, self._regimes, expectation.at)
            judged = judge.flow(whole) if self._network.entities[whole].kind == FLOW else judge.findings(whole)
            self._found[key] = {(each.rule, each.subject): each for each in judged}
        return self._found[key].get((expectation.rule, expectation.subject))


def shipped() -> tuple[str, ...]:
    """The names of the cases that are shipped."""
    return data.names("cases")


def load(source: str | Path) -> Case:
    """The case in a file, or the one that is shipped under a name. DocumentError says what cannot be, and where."""
    table = data.document("cases", source, "case")
    return parse(table, Path(table.file).parent)


def load_all(sources: Sequence[str | Path] = ()) -> tuple[Case, ...]:
    """The cases in these files and in the TOML files of these folders; without any, those that are shipped.

    UsageError for a folder without a case. Profiles and lists that lie in it beside its cases are passed over.
    """
    found: list[Case] = []
    for source in sources or shipped():
        folder = Path(source)
        found += _in_folder(folder) if folder.is_dir() else [load(source)]
    return tuple(found)


def parse(table: Table, folder: Path) -> Case:
    """A case out of a document; paths in it start at the folder."""
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


def _in_folder(folder: Path) -> list[Case]:
    files = sorted(folder.glob("*.toml"))
    if not files:
        raise UsageError(f"{folder} holds no TOML file", hint="name a folder with golden cases, or a file")
    # What names profiles and forgets to expect anything is no other document, but a case with a slip.
    tables = [each for each in map(documents.read, files) if "expect" in each or "profiles" in each]
    if not tables:
        right = "a case says what must come of it, in [[expect]]; name a folder with one, or a file"
        raise UsageError(f"{folder} holds no golden case", hint=right)
    return [parse(each, folder) for each in tables]


def _placed(profile: str, folder: Path) -> str | Path:
    return folder / profile if "/" in profile or profile.endswith(".toml") else profile


def _expectation(table: Table, at: date, regimes: Library, network: Network) -> Expectation:
    subject, rule = table.text("subject"), table.text("rule")
    for part in subject.split(ON_PATH):
        _check(table, "subject", part, network.entities)
    _check(table, "rule", rule, regimes.rules)
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


def _check(table: Table, key: str, value: str, known: Collection[str]) -> None:
    if value not in known:
        right = typos.hint(value, known, f"known here: {', '.join(sorted(known)) or 'nothing'}")
        raise table.error(key, f"found {documents.found(value)}, which is not there", right=right)
