"""Golden cases hold, cover every rule, and detect mutated rules."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from functools import cache
from pathlib import Path
from random import Random

import pytest
from tests.compliance import mutants

from sycee import data
from sycee.compliance import library
from sycee.compliance.judging import cases
from sycee.compliance.judging.cases import Case, Expectation
from sycee.compliance.profiles import COVERAGE, STATUSES, Condition, Library, Profile, Rule
from sycee.compliance.verdicts import Force, Verdict
from sycee.compliance.vocabulary import ATTESTED
from sycee.core.documents import DocumentError

# Mutants that change no verdict, and the reason.
EQUIVALENT = {
    **{
        (f"us-fcc-covered-list/{rule}", "list us-fcc-covered-list no purposes"): "unknown whether limited or not"
        for rule in (
            "clouds",
            "software",
            "software-offered",
            "purposes-of-links",
            "purposes-of-places",
            "purposes-of-suppliers",
            "places-run",
            "gateways",
            "gateways-run",
            "links-held",
            "stored-run",
            "processed-run",
            "purposes-of-kept",
            "surveillance",
            "surveillance-stored",
            "surveillance-processed",
        )
    },
    **{
        ("pboc-7-2018/conditions-abroad", f"{place} self_declared dropped"): "the other is declared as well"
        for place in ("require[0] having[1]", "require[1] having[0]")
    },
}
MUTANTS_MAX = 6  # of one profile, in the quick tests
RULE_MUTANTS_MAX = 2  # of one rule
READ_FOR_MORE = {
    "202-208": "the set of countries of concern",
    "47-cfr-2-903": "who is an affiliate",
    "202-256": "persons of the United States, who are no covered persons",
    "202-401": "what security requirements are for",
    "202-501": "exemptions",
    "202-505": "exemptions",
    "eo-14034": "the end of the order",
    "circular-2018-04-06": "what the answers explain",
}
CASE = """
id = "a-case"
title = "A case"
source = "made up"
at = 2024-01-01
profiles = ["gdpr-transfers"]
expect = [{ subject = "pay", rule = "gdpr-transfers/transfer", verdict = "pass" }]

[network]
id = "a-case"
title = "A network"
as_of = 2024-01-01

[[flows]]
id = "pay"
classes = ["personal"]
subject_states = ["DE"]
"""


@cache
def case(name: str) -> Case:
    return cases.load(name)


@cache
def everything() -> Library:
    return library.load(data.names("profiles"))


def rules() -> list[str]:
    return list(everything().rules)


def profiles() -> list[str]:
    return [profile.id for profile in everything().profiles]


def expectations(rule: str) -> list[Expectation]:
    return [each for name in cases.shipped() for each in case(name).expectations if each.rule == rule]


def notices(mutant: mutants.Mutant) -> bool:
    concerned = [one for one in map(case, cases.shipped()) if mutant.of in one.rules | {p.id for p in regimes(one)}]
    return any(not outcome.passed for one in concerned for outcome in mutant.run(one))


def regimes(one: Case) -> tuple[Profile, ...]:
    return one.library.profiles


def mutants_of(rule: str) -> list[mutants.Mutant]:
    return list(mutants.of_rule(everything().rules[rule], everything().lists))


def survivors(mutated: list[mutants.Mutant]) -> list[str]:
    assert mutated
    return [each.name for each in mutated if (each.of, each.name) not in EQUIVALENT and not notices(each)]


# --- cases hold ---


@pytest.mark.parametrize("name", cases.shipped())
def test_every_case_holds(name: str) -> None:
    outcomes = case(name).run()
    assert [(each.expectation.place, *each.problems) for each in outcomes if not each.passed] == []


@pytest.mark.parametrize("name", cases.shipped())
def test_the_id_of_a_case_is_its_file_name(name: str) -> None:
    assert case(name).id == case(name).network.id == name


def test_no_two_expectations_of_a_case_are_equal() -> None:
    for name in cases.shipped():
        keys = [(each.subject, each.rule, each.at) for each in case(name).expectations]
        assert len(keys) == len(set(keys)), name


def test_enough_expectations_follow_from_the_text_of_an_article_alone() -> None:
    marked = [(case(name), each) for name in cases.shipped() for each in case(name).expectations if each.article]
    assert len(marked) >= 250
    assert all(of.at_hand for of, _ in marked)  # the text was read
    assert {each.rule.partition("/")[0] for _, each in marked} == set(profiles())


def test_an_article_gives_no_verdict_for_what_is_not_declared(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="article") as raised:
        own(tmp_path, CASE.replace('verdict = "pass"', 'verdict = "unknown", article = "Article 44"'))
    assert "pass, fail, not-applicable" in str(raised.value.hint)


# --- cases cover every rule ---


def can_fail(rule: Rule) -> bool:
    """Return whether a rule can fail: without an attestation a rule is unknown, and never fails."""
    return any(not needs_attestation(condition) for condition in rule.require)


def needs_attestation(condition: Condition) -> bool:
    return any(each.test == ATTESTED for each in condition.leaves())


@pytest.mark.parametrize("rule", rules())
def test_every_rule_is_expected_to_hold_to_fail_and_to_be_unknown(rule: str) -> None:
    found = {each.verdict for each in expectations(rule)}
    if everything().rules[rule].kind == COVERAGE:
        assert found == {Verdict.NOT_APPLICABLE, Verdict.UNKNOWN}
        return
    assert Verdict.PASS in found or Verdict.ATTESTED in found
    assert Verdict.UNKNOWN in found
    if can_fail(everything().rules[rule]):
        assert Verdict.FAIL in found
    else:
        assert Verdict.FAIL not in found


def test_every_verdict_is_expected_somewhere() -> None:
    found = {each.verdict for name in cases.shipped() for each in case(name).expectations}
    assert found == set(Verdict)


# --- cases detect mutants ---


@pytest.mark.parametrize("rule", rules())
def test_a_mutated_rule_is_detected(rule: str) -> None:
    made = mutants_of(rule)
    assert survivors(Random(rule).sample(made, min(len(made), RULE_MUTANTS_MAX))) == []


@pytest.mark.soak
@pytest.mark.parametrize("rule", rules())
def test_every_mutant_of_a_rule_is_detected(rule: str) -> None:
    assert survivors(mutants_of(rule)) == []


@pytest.mark.parametrize("name", profiles())
def test_a_mutated_profile_is_detected(name: str) -> None:
    (profile,) = (each for each in everything().profiles if each.id == name)
    made = list(mutants.of_profile(profile))
    assert survivors(Random(name).sample(made, min(len(made), MUTANTS_MAX))) == []


@pytest.mark.soak
@pytest.mark.parametrize("name", profiles())
def test_every_mutant_of_a_profile_is_detected(name: str) -> None:
    (profile,) = (each for each in everything().profiles if each.id == name)
    assert survivors(list(mutants.of_profile(profile))) == []


def test_equivalent_mutants_change_no_verdict() -> None:
    """An exception that a case detects must be removed."""
    made: dict[tuple[str, str], mutants.Mutant] = {}
    for profile in everything().profiles:
        of_rules = (each for rule in profile.rules for each in mutants.of_rule(rule, everything().lists))
        made |= {(each.of, each.name): each for each in (*mutants.of_profile(profile), *of_rules)}
    assert [key for key in EQUIVALENT if notices(made[key])] == []


# --- cases of a user ---


def own(tmp_path: Path, text: str) -> Case:
    path = tmp_path / "a-case.toml"
    path.write_text(text, encoding="utf-8")
    return cases.load(path)


def test_a_failing_case_shows_the_finding(tmp_path: Path) -> None:
    (outcome,) = own(tmp_path, CASE).run()
    assert outcome.problems == ("verdict: expected pass, found unknown",)
    assert outcome.found is not None
    assert "pay.to" in outcome.found.missing


def test_every_part_of_an_expectation_is_compared(tmp_path: Path) -> None:
    more = 'verdict = "unknown", at = 2018-05-24, force = "enforced", stops = true, missing = ["pay.from"], '
    more += 'conflicts_with = ["other/rule"], row = "a row", chain = "a chain", says = "a sentence"'
    (outcome,) = own(tmp_path, CASE.replace('verdict = "pass"', more)).run()
    assert outcome.expectation.at == date(2018, 5, 24)
    assert outcome.expectation.force is Force.ENFORCED
    assert [problem.partition(":")[0] for problem in outcome.problems] == [
        *("verdict", "force", "stops", "missing", "conflicts with", "row", "chain", "message")
    ]


def test_a_case_with_own_profiles_and_lists(tmp_path: Path) -> None:
    shipped = data.content("profiles", "cn-unreliable-entities").decode()
    (tmp_path / "own.toml").write_text(shipped.replace('"cn-unreliable-entities"', '"own-list"', 1), encoding="utf-8")
    listed = data.content("lists", "cn-unreliable-entities").decode().replace("complete = false", "complete = true")
    (tmp_path / "list.toml").write_text(listed, encoding="utf-8")
    text = CASE.replace('["gdpr-transfers"]', '["own.toml"]\nlist_files = ["list.toml"]')
    text = text.replace("gdpr-transfers/transfer", "own-list/parties")
    assert own(tmp_path, text).library.lists["cn-unreliable-entities"].complete


@pytest.mark.parametrize(
    ("was", "becomes", "line", "says"),
    [
        ('subject = "pay"', 'subject = "pya"', 7, 'did you mean "pay"?'),
        ("gdpr-transfers/transfer", "gdpr-transfers/transfers", 7, 'did you mean "gdpr-transfers/transfer"?'),
        ('"pass" }', '"pas" }', 7, '"pass"'),
        ('verdict = "pass"', 'verdict = "pass", stop = true', 7, 'did you mean "stops"?'),
        ("at = 2024", "on = 2024", 1, "at: missing"),
        ("classes =", "clases =", 16, 'did you mean "classes"?'),
    ],
)
def test_a_mistyped_name_is_reported_with_its_place(
    tmp_path: Path, was: str, becomes: str, line: int, says: str
) -> None:
    with pytest.raises(DocumentError) as raised:
        own(tmp_path, CASE.replace(was, becomes, 1))
    assert says in f"{raised.value} {raised.value.hint}"
    assert raised.value.line == line


def test_a_folder_of_cases_is_all_its_files(tmp_path: Path) -> None:
    own(tmp_path, CASE)
    (tmp_path / "second.toml").write_text(CASE.replace("a-case", "second"), encoding="utf-8")
    assert [each.id for each in cases.load_all([tmp_path])] == ["a-case", "second"]


# --- data ---


@pytest.mark.parametrize("name", profiles())
def test_a_shipped_profile_states_what_it_models_and_what_not(name: str) -> None:
    (profile,) = (each for each in everything().profiles if each.id == name)
    assert profile.coverage is not None
    assert profile.coverage.not_modelled
    assert any(rule.kind == COVERAGE for rule in profile.rules) or not profile.coverage.covered_values()


def test_the_id_of_a_profile_is_its_file_name() -> None:
    assert profiles() == list(data.names("profiles"))


def test_every_list_is_used() -> None:
    assert sorted(everything().lists) == list(data.names("lists"))


def test_every_source_is_used() -> None:
    """A source that no rule, dated value or adoption names must be in READ_FOR_MORE."""
    for profile in everything().profiles:
        assert profile.coverage is not None
        parts = (*profile.rules, *profile.members, *profile.adoptions, profile.coverage)
        named = {each.source for each in parts}
        known = {source.id for source in profile.sources}
        assert named <= known, profile.id
        assert known - named <= READ_FOR_MORE.keys(), profile.id


def test_laws_have_adoptions_and_both_sides_have_pledges_and_lists() -> None:
    publishers = defaultdict(set)
    for profile in everything().profiles:
        assert profile.status == "pledge" or profile.adoptions, profile.id
        publishers[profile.status].add(profile.issuer)
    lists = {each.publisher for each in everything().lists.values()}
    assert len({publisher.split(" of ")[-1] for publisher in lists}) >= 2
    assert len(publishers["pledge"]) == 2


def test_both_sides_are_judged_at_the_same_depth() -> None:
    """The states of the two pledges have as many rules as each other, within a factor of two, in pledges and laws."""

    def side(profile: Profile) -> str:
        return profile.issuer.rpartition(" of ")[2].removeprefix("the ")

    of_status = {status: [each for each in everything().profiles if each.status == status] for status in STATUSES[:2]}
    sides = {side(each) for each in of_status["pledge"]}
    assert len(sides) == 2
    for status, of_both in of_status.items():
        rules = [sum(len(each.rules) for each in of_both if side(each) == one) for one in sides]
        assert min(rules) > 0, status
        assert max(rules) <= 2 * min(rules), (status, rules)
