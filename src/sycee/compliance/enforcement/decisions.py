"""What a decision says, whatever it is about: what it was judged on, what was found, until when it holds.

A decision is its record: JSON that names everything needed to judge again, and a digest over it. Sentences for people
go along and are no part of the digest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import date
from functools import cache
from typing import Any, Final

from sycee.compliance import canonical
from sycee.compliance.facts import Fact, Network
from sycee.compliance.profiles import Library
from sycee.compliance.verdicts import ENGINE, Finding, Force, Report, Verdict
from sycee.core.errors import IntegrityError, UsageError

_NOT_DIGESTED: Final = ("digest", "messages")
_DAYLESS: Final = (str, int, bool, type(None))  # most of the million values of a large network


@dataclass(frozen=True, slots=True)
class Inputs:
    """What was judged: digests of the network, of the library, and of all findings, as of a day (UTC), by an engine."""

    network: str
    library: str
    report: str
    day: date
    engine: str = ENGINE


@dataclass(frozen=True, slots=True)
class RecordedFinding:
    """One finding in a record. `missing` are the paths of facts that would decide."""

    rule: str
    version: int
    subject: str
    verdict: str
    force: str
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordedWaiver:
    """A waiver that a decision rests on."""

    rule: str
    subject: str
    role: str
    reason: str
    until: date


def report_of(network: Network, library: Library, day: date, findings: Iterable[Finding]) -> Report:
    """The findings of a decision as a report, whose digest names them. A finding that was made twice counts once."""
    once = {(each.rule, each.subject, each.verdict): each for each in findings}
    return Report(network.digest, library.digest, day, tuple(once.values()))


def stopping_findings(report: Report) -> tuple[Finding, ...]:
    """The findings that keep something from going on, the worst first."""
    return tuple(sorted(report.stops, key=lambda each: -each.verdict))


def inputs_of(report: Report) -> Inputs:
    """What a report was made of."""
    return Inputs(report.network, report.library, report.digest, report.at, report.engine)


def recorded_findings(findings: Iterable[Finding]) -> tuple[RecordedFinding, ...]:
    """Findings as records have them, in an order of their own."""
    rows = (
        RecordedFinding(each.rule, each.version, each.subject, each.verdict.word, each.force.word, each.missing)
        for each in findings
    )
    return tuple(sorted(rows, key=lambda each: (each.rule, each.subject)))


def stops(recorded: Mapping[str, Any]) -> bool:
    """Whether a finding, as a record has it, keeps its subject from going on."""
    return recorded["force"] == Force.ENFORCED.word and Verdict[recorded["verdict"].replace("-", "_").upper()].stops


def recorded_waivers(findings: Iterable[Finding]) -> tuple[RecordedWaiver, ...]:
    """The waivers that findings rest on, each once."""
    waivers = {each.waiver for each in findings if each.verdict is Verdict.WAIVED and each.waiver}
    rows = (RecordedWaiver(each.rule, each.subject, each.role, each.reason, each.until_date) for each in waivers)
    return tuple(sorted(rows, key=lambda each: (each.rule, each.subject)))


def verdict_counts(findings: Iterable[Finding]) -> Mapping[str, int]:
    """How many findings came to each verdict, but for what is not applicable; from the best to the worst."""
    counts = dict.fromkeys(list(Verdict)[1:], 0)
    for each in findings:
        if each.verdict in counts:
            counts[each.verdict] += 1
    return {verdict.word: count for verdict, count in counts.items() if count}


def change_days(said: Network | Library | Mapping[str, Fact]) -> frozenset[date]:
    """Every day that is named anywhere in this.

    Time alone changes a judgement only on such a day: something begins, ends or expires. Days that change nothing are
    among them, so a decision may be said to hold for less long than it would, and never for longer.
    """
    return frozenset(_days(said))


def _days(value: Any) -> Iterator[date]:
    kind: type = type(value)
    if kind in _DAYLESS:
        return
    names = _fields_of(kind)
    if names:
        for name in names:
            yield from _days(getattr(value, name))
    elif isinstance(value, date):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _days(each)
    elif isinstance(value, tuple | list | frozenset):
        for each in value:
            yield from _days(each)


@cache
def _fields_of(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else ()


# --- what callers give ---


def storable_text(what: str, given: object) -> str:
    """A text that every database can keep. UsageError for anything else."""
    if not isinstance(given, str):
        raise UsageError(f"{what} is {given!r}, and no text", hint=f"give {what} as a text")
    if "\0" in given or any("\ud800" <= each <= "\udfff" for each in given):
        raise UsageError(f"{what} has characters that cannot be kept: {given!r}", hint="give it as text in UTF-8")
    return given


# --- records ---


def record_digest(content: Mapping[str, Any]) -> str:
    """BLAKE3 over a record in its canonical form, without messages."""
    return canonical.digest({name: each for name, each in content.items() if name not in _NOT_DIGESTED})


def build_record(format: str, content: Mapping[str, Any], messages: Iterable[str]) -> dict[str, Any]:
    """A record as JSON has it, with its format, digest and messages."""
    plain = {"format": format, **canonical.plain(content)}
    return {**plain, "digest": record_digest(plain), "messages": list(messages)}


def record_text(record: Mapping[str, Any]) -> str:
    """A record as it is kept and sent: one line, its keys sorted."""
    return canonical.canonical(record).decode()


def parse_record(record: str | bytes | Mapping[str, Any], formats: Iterable[str]) -> dict[str, Any]:
    """A record that came from somewhere. UsageError if it is none; IntegrityError if its digest is of other content."""
    try:
        content = dict(json.loads(record)) if isinstance(record, str | bytes) else dict(record)
        digest = record_digest(content)
    except (ValueError, TypeError, RecursionError) as error:
        raise UsageError("what was given is no record: it is not a JSON object", hint="give it as it came") from error
    known = tuple(formats)
    if content.get("format") not in known:
        raise UsageError(
            f"what was given is no record: its format is {content.get('format')!r}", hint=f"known: {', '.join(known)}"
        )
    if content.get("digest") != digest:
        raise IntegrityError("the record was changed: its digest is not that of its content")
    return content
