"""A profile as a page for a reader: what it is and is not, how it binds, where it was read, what of it is a reading.

Made from the profile and its lists alone, so that page and rules cannot differ: a test holds the published pages
against them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Final

from sycee.compliance.facts import CONTROL_BP
from sycee.compliance.profiles import Condition, Library, List, Profile, Row, Rule, Source, list_ids
from sycee.compliance.vocabulary import (
    ALL_IN,
    ANY_IN,
    ANY_LISTED,
    AT_LEAST,
    AT_MOST,
    ATTESTED,
    BASIS_POINTS,
    DECLARED,
    IS_FALSE,
    IS_TRUE,
    NONE_IN,
    NONE_LISTED,
    PATH_LEVELS,
    RETURNED_IN_TIME,
)

_STATUSES: Final[Mapping[str, str]] = {
    "pledge": "a pledge: it advises, and is enforced only where an authority adopted it on a legal basis",
    "law": "a law: it is enforced while it is in effect",
    "contract": "a contract: it is enforced while it is in effect",
}
_KINDS: Final[Mapping[str, str]] = {
    "checked": "checked on declared facts",
    "attested": "attested: what holds rests on somebody's word, and the verdict says so",
}
_UNKNOWN: Final[Mapping[str, str]] = {
    "unknown": "the verdict is unknown, which never passes where the profile is enforced",
    "fail": "it counts as broken",
}
_INTRODUCTION: Final = (
    (
        "A profile is a regime as data: rules over declared facts, with what they were read from. These are shipped; "
        "one of your own is [a file like them](../reference/profiles.md) and needs no code."
    ),
    (
        "A report says that a network *meets profile X version N on declared facts as of a day*, or what keeps it "
        "from that. It says nothing about what is lawful: declared is not observed, a profile is a reading, and a law "
        "says more than a few rules hold."
    ),
    (
        "Every rule is held to what was read by golden cases, files that `sycee compliance test` runs: one of it "
        "holding, one of it broken (but where it can only be attested), one of it unknown, and each of its conditions "
        "by a case that notices when it is changed."
    ),
)
_SENTENCE: Final = "Meets profile {0.id} version {0.version} on declared facts as of a day."
_MADE: Final = "*Made from the profile by `python -m tools.profile_pages`; change the profile, not this page.*"
_VALUES_SHOWN_MAX: Final = 3  # a longer set is named, and written out once below the rules
_PHRASES: Final[Mapping[str, str]] = {
    ANY_IN: "some value of {fact} is in {values}",
    ALL_IN: "every value of {fact} is in {values}",
    NONE_IN: "no value of {fact} is in {values}",
    ANY_LISTED: "somebody whom {fact} names stands on {list}, or is controlled from there",
    NONE_LISTED: "nobody whom {fact} names stands on {list}, or is controlled from there",
    DECLARED: "{fact} is declared",
    IS_TRUE: "{fact} is true",
    IS_FALSE: "{fact} is false",
    AT_MOST: "{fact} is at most {limit:,}",
    AT_LEAST: "{fact} is at least {limit:,}",
    ATTESTED: "somebody vouches for `{topic}`{of}",
    RETURNED_IN_TIME: "what was taken away was back, and deleted there, within {hours} hours and by the end of {days}, "
    "whichever is earlier (time of {zone})",
}


def texts(library: Library) -> dict[str, str]:
    """The pages of all profiles of a library, by file name, with the index `README.md`."""
    pages = {f"{profile.id}.md": page(profile, library.lists) for profile in library.profiles}
    return {"README.md": index(library.profiles), **pages}


def index(profiles: Iterable[Profile]) -> str:
    """The page that leads to the others."""
    lines = ["# Profiles", ""]
    for paragraph in _INTRODUCTION:
        lines += [paragraph, ""]
    lines += [
        _row("profile", "what it is", "status", "in effect", "rules", "readings of ours"),
        "|---|---|---|---|---|---|",
    ]
    for each in profiles:
        readings = sum(bool(rule.interpretation) for rule in each.rules)
        cells = (f"[{each.id}]({each.id}.md)", each.title, each.status, _in_effect(each), len(each.rules), readings)
        lines.append(_row(*cells))
    lines += ["", _MADE]
    return "\n".join(lines) + "\n"


def page(profile: Profile, lists: Mapping[str, List]) -> str:
    """The page of one profile. `lists` are those that its rules look at; others are left out."""
    used = [lists[name] for name in sorted(list_ids(profile))]
    lines = [
        f"# {profile.title}",
        "",
        f"`{profile.id}`, version {profile.version}. Issued by: {profile.issuer}.",
        "",
        f"**What it is.** {profile.summary}",
        "",
        f"**What it is not.** {profile.limits}",
        "",
        f"**What a report may say.** *{_SENTENCE.format(profile)}* That is no statement about what is lawful.",
        "",
        "| | |",
        "|---|---|",
        _row("status", _STATUSES[profile.status]),
        _row("in effect", _in_effect(profile)),
        _row("reviewed", profile.reviewed),
        "",
        *_adoptions(profile),
        *_touches(profile),
        "## Rules",
        "",
        *(line for rule in profile.rules for line in _rule(profile, rule)),
        *_sets(profile),
        *(line for each in used for line in _list(each)),
        "## Sources",
        "",
        *_sources(profile.sources),
        "",
        _MADE,
    ]
    return "\n".join(lines) + "\n"


def _adoptions(profile: Profile) -> Iterator[str]:
    yield from ("## Who adopted it", "")
    if profile.adoptions:
        yield from (_row("by", "legal basis", "from", "until", "source"), "|---|---|---|---|---|")
        for each in profile.adoptions:
            yield _row(each.by, each.basis, each.from_date, _until(each.until_date), f"`{each.source}`")
    else:
        yield "No adoption with a legal basis is known. A network's own declarations may hold one."
    yield ""
    if profile.supporters:
        yield from ("Who stands by it. That alone binds nobody.", "")
        yield from (_row("who", "how", "from", "until", "source"), "|---|---|---|---|---|")
        for supporter in profile.supporters:
            until = _until(supporter.until_date)
            yield _row(supporter.by, supporter.relation, supporter.from_date, until, f"`{supporter.source}`")
        yield ""


def _touches(profile: Profile) -> Iterator[str]:
    yield from ("## When it applies", "")
    if not profile.touches:
        yield from ("To everything that its rules are about.", "")
        return
    yield from ("When any of these holds, and from then on however a flow goes:", "")
    for each in profile.touches:
        yield f"- {_level(each.level)}: {condition(each.condition)}"
    yield ""


def _level(level: str) -> str:
    return f"{level} on the path of a flow" if level in PATH_LEVELS else level


def _rule(profile: Profile, rule: Rule) -> Iterator[str]:
    yield from (f"### {rule.id.partition('/')[2]}: {rule.title}", "", "| | |", "|---|---|")
    yield _row("addressed to", {"company": "companies", "state": "states"}[rule.addressee])
    yield _row("about each", _level(rule.level) + (f", each of its `{rule.each}`" if rule.each else ""))
    yield _row("how it is judged", _KINDS[rule.kind])
    for name, conditions, joint in (
        ("for flows of which", rule.flow, " **and** "),
        ("applies where", rule.when, " **and** "),
        ("exempt where", rule.unless, " **or** "),
        ("looks at those of which", rule.where, " **and** "),
        ("asks that", rule.require, " **and** "),
    ):
        if conditions:
            yield _row(name, joint.join(condition(each) for each in conditions))
    if rule.complete:
        yield _row("completeness", f"that nothing was left out is attested, as `{rule.complete}`; else it is unknown")
    if rule.basis:
        yield _row("conflict", f"where `{rule.basis}` names a rule of another profile in effect that asks for it")
    yield _row("where a fact is missing", _UNKNOWN[rule.when_unknown])
    yield _row("source", f"`{rule.source}`" + (f", {rule.clause}" if rule.clause else "") + _marked(profile, rule))
    if rule.interpretation:
        yield _row("**our reading**", rule.interpretation)
    yield _row("what would change it", rule.remedy)
    yield ""


def _marked(profile: Profile, rule: Rule) -> str:
    at_hand = next(each.at_hand for each in profile.sources if each.id == rule.source)
    return "" if at_hand else " (**not at hand**)"


def condition(of: Condition) -> str:
    """A condition in words."""
    if of.any_of:
        return "(" + " **or** ".join(condition(each) for each in of.any_of) + ")"
    days = "that business day" if of.business_days == 0 else f"{of.business_days} business days after that day"
    said = _PHRASES[of.test].format(
        fact=f"`{of.fact}`",
        values=_values(of),
        list=f"the list `{of.list}`" + _limits(of),
        limit=of.limit,
        topic=of.topic,
        of=f" of `{of.of}`" if of.of else "",
        hours=of.hours,
        days=days,
        zone=of.zone,
    )
    return f"not: {said}" if of.negate else said


def _values(of: Condition) -> str:
    if of.facts:
        return f"those of `{of.facts}`"
    if of.set_name and len(of.values) > _VALUES_SHOWN_MAX:
        return f"*{of.set_name}*"
    return ", ".join(f"`{value}`" for value in sorted(of.values))


def _limits(of: Condition) -> str:
    limits = [f"for the {name} in `{path}`" for name, path in (("part", of.parts), ("purpose", of.purposes)) if path]
    if of.control_bp != CONTROL_BP:
        limits.append(f"control from {of.control_bp:,} of {BASIS_POINTS:,} shares on")
    return f" ({', '.join(limits)})" if limits else ""


def _sets(profile: Profile) -> Iterator[str]:
    long = {name: values for name, values in profile.sets.items() if len(values) > _VALUES_SHOWN_MAX}
    if long:
        yield from ("## Sets", "", _row("set", "values"), "|---|---|")
        for name, values in long.items():
            yield _row(f"*{name}*", ", ".join(f"`{value}`" for value in values))
        yield ""


def _list(listed: List) -> Iterator[str]:
    ends = f" It says nothing from {listed.valid_until} on." if listed.valid_until else ""
    complete = (
        "Who is not on it is not listed."
        if listed.complete
        else "Its rows are some of many: who is not on it may yet be listed."
    )
    yield from (f"## List `{listed.id}`", "")
    yield f"{listed.title}, as of {listed.as_of}. {complete}{ends}{' ' + listed.note if listed.note else ''}"
    yield from ("", _row("party", "status", "only for", "from", "until", "source"), "|---|---|---|---|---|---|")
    marks = {source.id: "" if source.at_hand else " (**not at hand**)" for source in listed.sources}
    for each in listed.rows:
        only = ", ".join(f"`{limit}`" for limit in (*each.parts, *each.purposes)) or "–"
        source = f"`{each.source}`{marks[each.source]}"
        yield _row(_party(each), each.status, only, each.from_date or "–", _until(each.until_date), source)
    yield ""
    yield from _sources(listed.sources)
    yield ""


def _party(row: Row) -> str:
    names = " / ".join((row.party, *row.also))
    return f"{names}: {row.note}" if row.note else names


def _sources(sources: Sequence[Source]) -> Iterator[str]:
    yield from (_row("source", "what it is", "published by", "dated", "at hand"), "|---|---|---|---|---|")
    for each in sources:
        at_hand = "yes" if each.at_hand else "**no**: re-typed from elsewhere"
        yield _row(f"`{each.id}`", each.title, each.publisher, each.date, at_hand)


def _in_effect(profile: Profile) -> str:
    until = f" until {profile.effective_until}, that day excluded" if profile.effective_until else ""
    return f"from {profile.effective_from}{until}"


def _until(day: date | None) -> str:
    return str(day) if day else "–"


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
