"""Parts that admissions and screenings share: inputs, recorded findings and waivers, and the record.

A record is JSON that names everything needed to judge again, and a digest over that. It also holds messages for people,
which the digest does not cover.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any, ClassVar, Final

from sycee.compliance import canonical
from sycee.compliance.facts import Fact, Network, Waiver, waiver_days_max
from sycee.compliance.judging.judge import Judge
from sycee.compliance.profiles import Library
from sycee.compliance.verdicts import ENGINE, Finding, Force, Report, Verdict
from sycee.core.errors import IntegrityError, UsageError

NOT_DIGESTED: Final = ("digest", "messages")
_DAYLESS: Final = (str, int, bool, type(None))  # most of the million values of a large network


@dataclass(frozen=True, slots=True)
class Inputs:
    """Digests of the network, of the library and of the report of all findings; the day (UTC) and the engine."""

    network: str
    library: str
    report: str
    day: date
    engine: str = ENGINE


@dataclass(frozen=True, slots=True)
class RecordedFinding:
    """A finding in a record. `missing` holds the paths of the facts that would decide."""

    rule: str
    version: int
    subject: str
    verdict: str
    force: str
    missing: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Return the verdict, with its force unless that is "enforced"."""
        return self.verdict if self.force == Force.ENFORCED.word else f"{self.verdict} ({self.force})"

    @property
    def stops(self) -> bool:
        """Return whether the finding stops its subject."""
        return self.force == Force.ENFORCED.word and Verdict.of(self.verdict).stops


@dataclass(frozen=True, slots=True)
class RecordedWaiver:
    """A waiver that a decision rests on."""

    rule: str
    subject: str
    role: str
    reason: str
    until: date


class Decision:
    """Base class of admissions and screenings, which are data classes."""

    FORMAT: ClassVar[str]

    def _content(self) -> dict[str, Any]:
        """Return the content of the record without format and digest, as JSON values."""
        return dict(canonical.plain(self))

    @cached_property
    def record(self) -> dict[str, Any]:
        """The decision as JSON values, to be stored and sent."""
        content = {"format": self.FORMAT, **self._content()}
        return {**content, "digest": record_digest(content)}

    @cached_property
    def digest(self) -> str:
        """The digest that identifies the decision."""
        return str(self.record["digest"])

    def json(self) -> str:
        """Return the record as one line of JSON with sorted keys."""
        return canonical.canonical(self.record).decode()


def report_of(judge: Judge, findings: Iterable[Finding]) -> Report:
    """Return findings as a report, whose digest identifies them. Equal findings count once."""
    unique = {(each.rule, each.subject, each.verdict): each for each in findings}
    return Report(judge.network.digest, judge.library.digest, judge.at, tuple(unique.values()))


def inputs_of(report: Report) -> Inputs:
    """Return the inputs of a report."""
    return Inputs(report.network, report.library, report.digest, report.at, report.engine)


def stopping_findings(report: Report) -> list[Finding]:
    """Return the findings that stop their subject, the worst first."""
    return sorted(report.stops, key=lambda each: -each.verdict)


def recorded_findings(findings: Iterable[Finding]) -> tuple[RecordedFinding, ...]:
    """Return findings in the form of records, sorted by rule and subject."""
    rows = (
        RecordedFinding(each.rule, each.version, each.subject, each.verdict.word, each.force.word, each.missing)
        for each in findings
    )
    return tuple(sorted(rows, key=lambda each: (each.rule, each.subject)))


def recorded_waivers(findings: Iterable[Finding]) -> tuple[RecordedWaiver, ...]:
    """Return the distinct waivers that enforced findings rest on, sorted by rule and subject."""
    waivers = {
        each.waiver
        for each in findings
        if each.waiver and each.verdict is Verdict.WAIVED and each.force is Force.ENFORCED
    }
    rows = (RecordedWaiver(each.rule, each.subject, each.role, each.reason, each.until_date) for each in waivers)
    return tuple(sorted(rows, key=lambda each: (each.rule, each.subject)))


def verdict_counts(findings: Iterable[Finding]) -> Mapping[str, int]:
    """Return the number of findings per verdict that occurs, from best to worst, without `not-applicable`."""
    counts = dict.fromkeys(list(Verdict)[1:], 0)
    for each in findings:
        if each.verdict in counts:
            counts[each.verdict] += 1
    return {verdict.word: count for verdict, count in counts.items() if count}


def change_days(source: Network | Library | Mapping[str, Fact]) -> frozenset[date]:
    """Return every day in `source`. Time alone changes a verdict only on these, though not on each of them."""
    return frozenset(_days(source))


def _days(value: Any) -> Iterator[date]:
    kind: type = type(value)
    if kind in _DAYLESS:
        return
    if kind is Waiver:
        yield value.from_date + timedelta(days=waiver_days_max())
    if isinstance(value, date):
        yield value
    elif isinstance(value, Mapping):
        yield from _days(tuple(value.values()))
    elif isinstance(value, tuple | list | frozenset):
        for each in value:
            yield from _days(each)
    else:
        yield from _days(tuple(getattr(value, name) for name in canonical.fields_of(kind)))


def storable_text(name: str, value: object) -> str:
    """Return `value`, a text that every database can store. Raise UsageError, with the argument's name, otherwise."""
    if not isinstance(value, str):
        raise UsageError(f"{name} must be a text; got {value!r}", hint=f"give {name} as a str")
    try:
        if b"\0" not in value.encode():
            return value
    except UnicodeEncodeError:
        pass
    raise UsageError(
        f"{name} has characters that a database cannot store: {value!r}",
        hint="leave out NUL characters and lone surrogates",
    )


def record_digest(content: Mapping[str, Any]) -> str:
    """Return the BLAKE3 digest of a record in canonical form, without its digest and messages."""
    return canonical.digest({name: each for name, each in content.items() if name not in NOT_DIGESTED})


def parse_record(record: str | bytes | Mapping[str, Any], formats: Iterable[str]) -> dict[str, Any]:
    """Return a received record. Raise UsageError for another format, IntegrityError for a wrong digest."""
    try:
        content = dict(json.loads(record)) if isinstance(record, str | bytes) else dict(record)
        digest = record_digest(content)
    except (ValueError, TypeError, RecursionError) as error:
        raise UsageError("no record: the value is not a JSON object", hint="give the record as it came") from error
    allowed = tuple(formats)
    if content.get("format") not in allowed:
        message = f"no record: the format is {content.get('format')!r}"
        raise UsageError(message, hint=f"known formats: {', '.join(allowed)}")
    if content.get("digest") != digest:
        raise IntegrityError("the record was changed: its digest is not the digest of its content")
    return content
