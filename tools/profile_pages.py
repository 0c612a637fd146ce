"""Pages of the shipped profiles: status, effect, sources, rules, and which of them are our interpretation.

Pages are made from the profile and its lists alone, so they cannot contradict the rules. `tools.pages` writes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Final

from sycee import data
from sycee.compliance import library, memberships, vocabulary
from sycee.compliance.facts import CONTROL_BP
from sycee.compliance.judging import cases
from sycee.compliance.judging.cases import Expectation
from sycee.compliance.memberships import MemberList
from sycee.compliance.profiles import COVERAGE, Condition, List, Profile, Row, Rule, Source, list_ids

_STATUSES: Final[Mapping[str, str]] = {
    "pledge": "a pledge: it advises, and is enforced only where an authority adopted it on a legal basis",
    "law": "a law: it is enforced while it is in effect",
    "contract": "a contract: it is enforced while it is in effect",
}
_KINDS: Final[Mapping[str, str]] = {
    "checked": "checked on declared facts",
    "attested": "attested: the verdict relies on an attestation, and shows that",
    "coverage": "what the profile models: not applicable where it holds, unknown where it does not",
}
_UNKNOWN: Final[Mapping[str, str]] = {
    "unknown": "the verdict is unknown, which never passes where the profile is enforced",
    "fail": "the verdict is fail",
}
_INTRODUCTION: Final = """\
A profile is a regime as data: rules over declared facts, with the sources of the rules. These profiles are shipped. \
A profile of yours is [a file with the same format](../reference/profiles.md) and needs no code.

A report states that a network *meets profile X version N on declared facts as of a day*, or the reasons why it does \
not. It does not state that anything is lawful: declared facts are not observed, a profile is an interpretation, and a \
law has more content than a few rules.

Golden cases, files that `sycee compliance test` runs, check every rule against its source: one case where it holds, \
one where it does not (except for rules that can only be attested), one where it is unknown. For each condition of a \
rule a case fails if the condition is changed."""
_SENTENCE: Final = "Meets profile {0.id} version {0.version} on declared facts as of a day."
_COUNTED: Final = """\
The shipped cases have {:,} expected verdicts. {:,} of them follow from the text of an article alone, which was read \
and which the case names; the others rest on an interpretation of ours as well, on a text that was read in reports \
only, or on what is not declared."""
_MADE: Final = "*Made from the profile by `python -m tools.pages`; change the profile, not this page.*"
_VALUES_SHOWN_MAX: Final = 3  # a longer set is named, and listed once below the rules
_PHRASES: Final[Mapping[str, str]] = {
    vocabulary.ANY_IN: "some value of {fact} is in {values}",
    vocabulary.ALL_IN: "every value of {fact} is in {values}",
    vocabulary.NONE_IN: "no value of {fact} is in {values}",
    vocabulary.ANY_LISTED: "a party that {fact} names is on {list}, or is controlled by one that is",
    vocabulary.NONE_LISTED: "no party that {fact} names is on {list}, or is controlled by one that is",
    vocabulary.DECLARED: "{fact} is declared",
    vocabulary.IS_TRUE: "{fact} is true",
    vocabulary.IS_FALSE: "{fact} is false",
    vocabulary.AT_MOST: "{fact} is at most {limit:,}",
    vocabulary.AT_LEAST: "{fact} is at least {limit:,}",
    vocabulary.SUM_AT_MOST: "{fact}, summed over all flows between the same two organisations{through}{among}, "
    "is at most {limit:,}",
    vocabulary.ATTESTED: "`{topic}`{of} is attested",
    vocabulary.RETURNED_IN_TIME: "data that was taken away was returned, and deleted there, within {hours} hours and "
    "by the end of {days}, whichever is earlier (time of {zone})",
    vocabulary.CONTROLLED_BY: "a party that {fact} names is of {states}, or is controlled from there{how}",
}
_TIES: Final[Mapping[str, str]] = {
    vocabulary.ORGANISED: "by the law that it is organised under",
    vocabulary.HEADQUARTERS: "by its headquarters",
    vocabulary.RESIDENT: "by residence",
    vocabulary.CITIZEN: "by citizenship",
    vocabulary.EMPLOYED: "by employment",
}
_SECOND_HAND: Final = " (**second-hand**)"


def made() -> dict[str, str]:
    """Return the pages of all shipped profiles by file name, with the index `README.md`."""
    shipped = library.load(data.names("profiles"))
    members = {each.profile: each for each in memberships.load_all()}
    pages = {f"{profile.id}.md": page(profile, shipped.lists, members.get(profile.id)) for profile in shipped.profiles}
    golden = [each for case in cases.load_all() for each in case.expectations]
    return {"README.md": index(shipped.profiles, golden), **pages}


def index(profiles: Iterable[Profile], golden: Sequence[Expectation]) -> str:
    """Return the page that links the others."""
    rows = [
        (
            f"[{each.id}]({each.id}.md)",
            each.title,
            each.status,
            _in_effect(each),
            len(each.rules),
            sum(bool(rule.interpretation) for rule in each.rules),
            len(each.coverage.not_modelled) if each.coverage else "–",
            *_expectations(each, golden),
        )
        for each in profiles
    ]
    of_rules = ("rules", "our interpretations", "not modelled", "expected verdicts", "by the text of an article alone")
    headings = ("profile", "title", "status", "in effect", *of_rules)
    counted = _COUNTED.format(len(golden), sum(bool(each.article) for each in golden))
    return _document(["# Profiles", _INTRODUCTION, _table(headings, rows), counted, _MADE])


def _expectations(profile: Profile, golden: Sequence[Expectation]) -> tuple[int, int]:
    """Return how many golden expectations the rules of a profile have, and how many of them name an article."""
    own = [each for each in golden if each.rule.partition("/")[0] == profile.id]
    return len(own), sum(bool(each.article) for each in own)


def page(profile: Profile, lists: Mapping[str, List], members: MemberList | None = None) -> str:
    """Return the page of one profile. `lists` must include those that its rules use; `members` are those of it."""
    facts = [("status", _STATUSES[profile.status]), ("in effect", _in_effect(profile)), ("reviewed", profile.reviewed)]
    return _document(
        [
            f"# {profile.title}",
            f"`{profile.id}`, version {profile.version}. Issued by: {profile.issuer}.",
            f"**Content.** {profile.summary}",
            f"**Limits.** {profile.limits}",
            f"**What a report may state.** *{_SENTENCE.format(profile)}* This is no statement about what is lawful.",
            _table(("", ""), facts),
            *_adoptions(profile),
            *(() if members is None else _members(members)),
            *_touches(profile),
            *_coverage(profile),
            "## Rules",
            *(block for rule in profile.rules for block in _rule(profile, rule)),
            *_sets(profile),
            *(block for name in sorted(list_ids(profile)) for block in _list(lists[name])),
            "## Sources",
            _sources(profile.sources),
            _MADE,
        ]
    )


def _document(blocks: Iterable[str]) -> str:
    return "\n\n".join(blocks) + "\n"


def _adoptions(profile: Profile) -> Iterator[str]:
    yield "## Adoptions"
    if profile.adoptions:
        rows = [(e.by, e.basis, e.from_date, e.until_date or "–", f"`{e.source}`") for e in profile.adoptions]
        yield _table(("by", "legal basis", "from", "until", "source"), rows)
    else:
        yield "The profile names no adoption with a legal basis. The declarations of a network may have one."


def _members(members: MemberList) -> Iterator[str]:
    second_hand = {source.id: "" if source.at_hand else _SECOND_HAND for source in members.sources}
    rows = [
        (
            each.party + (f": {each.note}" if each.note else ""),
            ", ".join(f"`{state}`" for state in each.states),
            each.relation,
            each.from_date,
            each.until_date or "–",
            each.said_by,
            f"`{each.source}`{second_hand[each.source]}",
        )
        for each in members.rows
    ]
    yield "## Members and supporters"
    yield f"{members.title}, as of {members.as_of}. A row binds nobody. {members.note}"
    yield _table(("party", "states", "relation", "from", "until", "said by", "source"), rows)
    yield _sources(members.sources)


def _touches(profile: Profile) -> Iterator[str]:
    yield "## Where it applies"
    if profile.touches:
        yield "Where any of these conditions holds; on a path it then applies to the whole flow:"
        yield "\n".join(f"- {_level(each.level)}: {condition(each.condition)}" for each in profile.touches)
    else:
        yield "To every subject of its rules."


def _level(level: str) -> str:
    return f"{level} on the path of a flow" if level in vocabulary.PATH_LEVELS else level


def _coverage(profile: Profile) -> Iterator[str]:
    """Return what the profile models, what it does not, and which of its rules are our interpretation."""
    yield "## What it models"
    coverage = profile.coverage
    if coverage is None:
        yield "The profile does not state what it covers."
        return
    modelled = [
        ("transactions", coverage.transactions),
        ("parties", coverage.parties),
        ("exemptions", coverage.exemptions),
        ("classes of data", _words(coverage.classes)),
        ("classes of data that it is not about", _words(coverage.outside_classes)),
        ("purposes", _words(coverage.purposes)),
        ("purposes that it is not about", _words(coverage.outside_purposes)),
        ("why it is not about those", coverage.outside),
    ]
    yield _table(("modelled", ""), [row for row in modelled if row[1]])
    yield "Facts not modelled give *unknown* where a rule of the kind coverage finds them, and no verdict elsewhere."
    yield _table(("not modelled", "clause"), [(each.what, each.clause) for each in coverage.not_modelled])
    ours = [(rule.id.partition("/")[2], rule.interpretation) for rule in profile.rules if rule.interpretation]
    if ours:
        yield _table(("rule", "interpreted"), ours)


def _words(words: Sequence[str]) -> str:
    return ", ".join(f"`{each}`" for each in words)


def _rule(profile: Profile, rule: Rule) -> Iterator[str]:
    conditions = (
        ("for flows of which", rule.flow, " **and** "),
        ("applies where", rule.when, " **and** "),
        ("exempt where", rule.unless, " **or** "),
        ("reads those of which", rule.where, " **and** "),
        ("requires that", rule.require, " **and** "),
    )
    at_hand = next(each.at_hand for each in profile.sources if each.id == rule.source)
    unknown = {} if rule.kind == COVERAGE else _UNKNOWN
    rows = [
        ("addressed to", {"company": "companies", "state": "states"}[rule.addressee]),
        ("about each", _level(rule.level) + (f", each of its `{rule.each}`" if rule.each else "")),
        ("in force", _period(rule.from_date, rule.until_date)),
        ("how it is judged", _KINDS[rule.kind]),
        *((name, joint.join(map(condition, each))) for name, each, joint in conditions),
        (
            "completeness",
            rule.complete and f"an attestation of `{rule.complete}` that nothing is missing; else unknown",
        ),
        ("conflict", rule.basis and f"where `{rule.basis}` names a rule of another profile in effect that requires it"),
        ("where a fact is missing", unknown.get(rule.when_unknown)),
        ("source", f"`{rule.source}`{', ' if rule.clause else ''}{rule.clause}{'' if at_hand else _SECOND_HAND}"),
        ("**our interpretation**", rule.interpretation),
        ("remedy", rule.remedy),
    ]
    yield f"### {rule.id.partition('/')[2]}: {rule.title}"
    yield _table(("", ""), [row for row in rows if row[1]])


def condition(of: Condition) -> str:
    """Return a condition as a phrase."""
    if of.any_of:
        return "(" + " **or** ".join(map(condition, of.any_of)) + ")"
    if of.some:
        meeting = f"one of `{of.some}` has all of: " + " **and** ".join(map(condition, of.having))
        return f"({_negated(meeting) if of.negate else meeting})"
    days = "that business day" if of.business_days == 0 else f"{of.business_days} business days after that day"
    phrase = _PHRASES[of.test].format(
        fact=f"`{of.fact}`",
        values=_values(of),
        list=f"the list `{of.list}`" + _limits(of),
        limit=of.limit,
        among=" that meet: " + " **and** ".join(map(condition, of.among)) if of.among else "",
        through=_through(of),
        topic=of.topic,
        of=f" of `{of.of}`" if of.of else "",
        hours=of.hours,
        days=days,
        zone=of.zone,
        states=f"a state not in {_values(of)}" if of.outside else _values(of),
        how=_ties(of) if of.ties else "",
    )
    phrase = _negated(phrase) if of.negate else phrase
    return f"{phrase} (self-declared)" if of.self_declared else phrase


def _negated(phrase: str) -> str:
    return f"**not** {phrase}" if phrase.startswith("every ") else f"it is **not** true that {phrase}"


def _through(of: Condition) -> str:
    """Return the third parties of a sum as a phrase; a named condition by its name alone."""
    if not of.through:
        return ""
    parties = " or ".join(f"*{each.name}*" if each.name else condition(each) for each in of.through)
    return f", or of one sender with one party of {parties} in them,"


def _values(of: Condition) -> str:
    if of.facts:
        return f"those of `{of.facts}`"
    if of.members or (of.set_name and len(of.values) > _VALUES_SHOWN_MAX):
        return f"*{of.set_name}*"
    return ", ".join(f"`{value}`" for value in sorted(of.values))


def _ties(of: Condition) -> str:
    """Return how a party is of a state, how shares count, and who is excepted."""
    how = [_TIES[tie] for tie in of.ties]
    if of.control_bp != CONTROL_BP:
        how.append(f"control from {of.control_bp:,} of {vocabulary.BASIS_POINTS:,} shares on")
    if of.chain == vocabulary.MULTIPLY:
        how.append("shares multiplied along chains")
    if of.contracts:
        how.append("control other than by shares counts")
    if of.home_name:
        how.append(f"except parties of *{of.home_name}*")
    return f" ({', '.join(how)})"


def _limits(of: Condition) -> str:
    limits = [f"for the {name} in `{path}`" for name, path in (("part", of.parts), ("purpose", of.purposes)) if path]
    if of.control_bp != CONTROL_BP:
        limits.append(f"control from {of.control_bp:,} of {vocabulary.BASIS_POINTS:,} shares on")
    if of.affiliates:
        limits.append("with owners of listed parties and whom these own")
    return f" ({', '.join(limits)})" if limits else ""


def _sets(profile: Profile) -> Iterator[str]:
    dated = {each.set for each in profile.members}
    long = {name: values for name, values in profile.sets.items() if len(values) > _VALUES_SHOWN_MAX or name in dated}
    if long:
        rows = [(f"*{name}*", ", ".join(f"`{value}`" for value in values) or "–") for name, values in long.items()]
        yield from ("## Sets", _table(("set", "values"), rows))
    if profile.members:
        yield "Values that belong to a set on some days only:"
        days = [
            (f"*{e.set}*", f"`{e.value}`", e.from_date or "–", e.until_date or "–", f"`{e.source}`")
            for e in profile.members
        ]
        yield _table(("set", "value", "from", "until", "source"), days)


def _list(listed: List) -> Iterator[str]:
    ends = f" Rules that need it are unknown from {listed.valid_until} on." if listed.valid_until else ""
    complete = (
        "A party that is not on it is not listed."
        if listed.complete
        else "Its rows are some of many: a party that is not on it may still be listed."
    )
    note = f" {listed.note}" if listed.note else ""
    second_hand = {source.id: "" if source.at_hand else _SECOND_HAND for source in listed.sources}
    rows = [
        (
            _names(each) + (f": {each.note}" if each.note else ""),
            each.status,
            ", ".join(f"`{limit}`" for limit in (*each.parts, *each.purposes)) or "–",
            each.from_date or "–",
            each.until_date or "–",
            f"`{each.source}`{second_hand[each.source]}",
        )
        for each in listed.rows
    ]
    yield f"## List `{listed.id}`"
    yield f"{listed.title}, as of {listed.as_of}. {complete}{ends}{note}"
    yield _table(("party", "status", "only for", "from", "until", "source"), rows)
    yield _sources(listed.sources)


def _names(row: Row) -> str:
    """Return the names of a party; those with a source of their own have it beside them."""
    aliases = (f"{each.name} (`{each.source}`)" for each in row.aliases)
    return " / ".join((row.party, *row.also, *aliases))


def _sources(sources: Sequence[Source]) -> str:
    rows = [
        (f"`{each.id}`", each.title, each.publisher, each.date, "direct" if each.at_hand else "**second-hand**")
        for each in sources
    ]
    return _table(("source", "title", "published by", "dated", "read"), rows)


def _period(start: date | None, end: date | None) -> str:
    """Return the days on which a value counts; nothing for every day."""
    parts = (f"from {start}" if start else "", f"until {end}, that day excluded" if end else "")
    return " ".join(part for part in parts if part)


def _in_effect(profile: Profile) -> str:
    return _period(profile.effective_from, profile.effective_until)


def _table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in (headings, *rows)]
    head = lines[0] if any(headings) else "| | |"
    return "\n".join([head, "|" + "---|" * len(headings), *lines[1:]])
