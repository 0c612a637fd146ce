"""Reports as text, JSON, SARIF, JUnit and HTML, of the example and of findings with hostile texts."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

import pytest
from tests.compliance import build
from tests.report.browser import opened

from sycee import data
from sycee.compliance import declarations, library
from sycee.compliance.facts import Assurance, Waiver
from sycee.compliance.judging.judge import Judge
from sycee.compliance.profiles import Library
from sycee.compliance.reports import html, json_report, junit, picture, sarif, text
from sycee.compliance.reports.summary import JudgedNetwork, value_text
from sycee.compliance.verdicts import Evidence, Finding, Force, Report, Verdict
from sycee.core.errors import IntegrityError, UsageError

EXAMPLE: Final = Path(__file__).resolve().parents[2] / "examples" / "two-regimes"
HOSTILE: Final = """</script><script>document.title="run"</script><img src=x onerror='document.title="run"'>\x07]]>"""
DAY: Final = date(2026, 11, 25)


@pytest.fixture(scope="module")
def judged() -> JudgedNetwork:
    network = declarations.load([EXAMPLE])
    regimes = library.load(["clean-network-2020", "data-security-initiative-2020"])
    return JudgedNetwork(network, regimes, Judge(network, regimes, network.as_of).report())


def finding(verdict: Verdict, force: Force = Force.ENFORCED, subject: str = "bank", **about: Any) -> Finding:
    return Finding("regime", 1, "regime/rule", "A title", "participant", subject, verdict, force, **about)


def made(*findings: Finding, **profile: Any) -> JudgedNetwork:
    """Return findings of a regime with one rule on one bank, as if judged."""
    network = build.network(bank=build.participant(state="AA"))
    bank = replace(network.entities["bank"], place="banks of all/declared.toml:7")
    network = replace(network, entities={"bank": bank})
    rule = build.rule("participant", build.condition("state", "declared"))
    regimes = build.library(build.profile(rule, **profile))
    return JudgedNetwork(network, regimes, Report(network.digest, regimes.digest, DAY, findings))


# --- sentences ---


@pytest.mark.parametrize(
    ("verdicts", "says"),
    [
        ([Verdict.PASS], "meets profile regime version 1 on declared facts as of 2026-11-25"),
        (
            [Verdict.PASS, Verdict.ATTESTED, Verdict.ATTESTED, Verdict.WAIVED],
            (
                "has 1 waived finding under profile regime version 1 and meets the rest on declared facts as of "
                "2026-11-25, by 2 attestations"
            ),
        ),
        (
            [Verdict.WAIVED, Verdict.WAIVED],
            "has 2 waived findings under profile regime version 1 on declared facts as of 2026-11-25",
        ),
        (
            [Verdict.PASS, Verdict.ATTESTED],
            "meets profile regime version 1 on declared facts as of 2026-11-25, by 1 attestation",
        ),
        ([Verdict.UNKNOWN, Verdict.PASS], "is not known to meet profile regime version 1 on declared facts as of …"),
        ([Verdict.CONFLICT, Verdict.UNKNOWN], "a person has to decide whether it meets profile regime version 1 …"),
        ([Verdict.FAIL, Verdict.CONFLICT], "does not meet profile regime version 1 on declared facts as of …"),
        ([Verdict.NOT_APPLICABLE], "there is nothing to judge under profile regime version 1 on declared facts …"),
        ([], "there is nothing to judge under profile regime version 1 on declared facts as of …"),
    ],
)
def test_the_sentence_that_may_be_quoted(verdicts: list[Verdict], says: str) -> None:
    (summary,) = made(*(finding(verdict) for verdict in verdicts)).profiles
    assert summary.sentence.startswith(says.rstrip("…"))
    assert {verdict: count for verdict, count in summary.counts.items() if count} == Counter(verdicts)


def test_a_regime_that_is_not_in_effect_says_so() -> None:
    (summary,) = made(effective_from=date(2030, 1, 1)).profiles
    assert summary.sentence == "profile regime version 1 is not in effect on 2026-11-25"


@pytest.mark.parametrize(
    ("identifiers", "says"),
    [
        ((), "; maker declares no identifiers, so lists were searched for id and name alone"),
        (("Maker of Things Ltd",), ""),
    ],
)
def test_an_organisation_without_identifiers_does_not_pass_a_list_in_silence(
    identifiers: tuple[str, ...], says: str
) -> None:
    shop = build.facility(operator="maker")
    declared = build.network(maker=build.organisation(identifiers=identifiers), shop=shop)
    ban = build.rule("facility", build.condition("operator", "none-listed", list="bad"))
    regimes = build.library(build.profile(ban), build.listing(build.row("Bad Firm"), id="bad"))
    report = Judge(declared, regimes, build.AT).report()
    judged = JudgedNetwork(declared, regimes, report)
    day = build.AT.isoformat()
    (summary,) = judged.profiles
    assert summary.sentence == f"meets profile regime version 1 on declared facts as of {day}{says}"
    for written in (text.render(judged, width=400), json_report.render(judged), junit.render(judged)):
        assert ("id and name alone" in written) == bool(says)


def test_a_modified_copy_of_a_shipped_profile_or_list_is_called_that() -> None:
    shipped = library.load(["us-fcc-covered-list"])
    (profile,), (listed,) = shipped.profiles, shipped.lists.values()
    declared = build.network(firm=build.organisation())

    def says(changed: Library) -> str:
        report = Judge(declared, changed, date(2025, 6, 1)).report()
        return JudgedNetwork(declared, changed, report).profiles[0].sentence

    assert "copy" not in says(shipped)
    other_limits = replace(profile, limits="none")
    name = f"profile us-fcc-covered-list version {profile.version}"
    assert f"a modified copy of {name}" in says(build.library(other_limits, listed))
    other_rows = replace(listed, rows=listed.rows[1:])
    assert f"{name} with a modified copy of us-fcc-covered-list " in says(build.library(profile, other_rows))


def test_the_limits_of_a_profile_stand_beside_what_is_met() -> None:
    met, not_met = ((Verdict.PASS,), (Verdict.PASS, Verdict.FAIL))
    lines = [text.render(made(*map(finding, each), limits="Half of it.")) for each in (met, not_met)]
    assert ["Limits of the profile: Half of it." in each for each in lines] == [True, False]


@pytest.mark.parametrize("module", [text, json_report, html, junit, sarif])
def test_every_format_has_the_limits_and_says_meets_only_where_something_was_judged(module: Any) -> None:
    assert "Half of it." in module.render(made(finding(Verdict.PASS), limits="Half of it."))
    for judged in (made(), made(finding(Verdict.NOT_APPLICABLE)), made(finding(Verdict.UNKNOWN))):
        assert not re.search(r"\b[Mm]eets profile", module.render(judged))


def test_no_page_says_legal(judged: JudgedNetwork) -> None:
    # `legal_bases` is a field of flows, and texts of some regimes have the words "legal basis".
    for said in (text.render(judged), html.render(judged), junit.render(judged)):
        assert not re.search(r"\b(?:is|are|was) (?:il)?legal\b", said)


def test_findings_that_stop_come_first_the_worst_of_them_first() -> None:
    judged = made(
        finding(Verdict.FAIL, Force.ADVISED, "one"),
        finding(Verdict.UNKNOWN, subject="two"),
        finding(Verdict.PASS, subject="three"),
        finding(Verdict.FAIL, subject="four"),
    )
    assert list(judged.by_subject) == ["four", "two", "one", "three"]
    assert judged.headline == "2 findings stop 2 subjects under the regimes enforced on 2026-11-25."
    assert made(finding(Verdict.PASS)).headline == "No finding stops anything under the regimes enforced on 2026-11-25."


def test_a_network_in_which_nothing_was_judged_says_so_first() -> None:
    nothing = "Nothing was judged on 2026-11-25: no rule is about what is declared."
    asked = f"{nothing} Declare flows: most rules are about them."
    for judged in (made(), made(finding(Verdict.NOT_APPLICABLE))):
        assert judged.headline == asked
        assert asked in text.render(judged, width=200).splitlines()[1]
    flow = build.network(bank=build.participant(state="AA"), pay=build.flow(from_="bank", to="bank"))
    assert replace(made(), network=flow).headline == nothing


def test_a_long_text_repeats_its_headline_at_the_end() -> None:
    judged = made(*(finding(Verdict.FAIL, subject=f"bank-{number}") for number in range(40)))
    lines = text.render(judged, width=200).splitlines()
    assert lines[1] == lines[-1] == judged.headline
    short = text.render(made(finding(Verdict.FAIL)), width=200).splitlines()
    assert short.count("1 finding stops 1 subject under the regimes enforced on 2026-11-25.") == 1


@pytest.mark.parametrize(
    ("value", "path", "said"),
    [
        (None, "", "undeclared"),
        (True, "", "yes"),
        ((), "", "none"),
        (("AA", "BB"), "", "AA, BB"),
        (30, "bank.vulnerability_notice_days", "30"),
        (1_577_836_800_000_000_000, "flow.processed[0].returned_at", "2020-01-01 00:00:00 UTC"),
        (date(2020, 1, 2), "", "2020-01-02"),
        ((build.element(since=date(2020, 1, 1), owner="holding", share_bp=5),), "", None),
    ],
)
def test_values_for_people(value: Any, path: str, said: str | None) -> None:
    assert value_text(value, path) == (said or "(owner holding; share_bp 5; from 2020-01-01)")


# --- text ---


def test_text_shows_unmet_findings_and_counts_the_rest(judged: JudgedNetwork) -> None:
    said = text.render(judged)
    assert "tropic-east-us-br (segment, synthetic): Tropic East US–BR" in said
    assert "FAIL, stops: clean-network-2020/carrier" in said
    assert "WAIVED: data-security-initiative-2020/dsi-4a" in said
    assert "until 2021-03-01 by head of compliance" in " ".join(said.split())
    assert "  ATTESTED" not in said
    assert "findings more: passed, attested or not applicable" in said
    assert judged.report.digest in said
    everything = text.render(judged, everything=True)
    assert everything.count("\n  NOT-APPLICABLE: ") == sum(
        each.verdict is Verdict.NOT_APPLICABLE for each in judged.report.findings
    )


def test_lines_of_text_are_short_but_for_names(judged: JudgedNetwork) -> None:
    long = [line for line in text.render(judged).splitlines() if len(line) > text.WIDTH and line.startswith("      ")]
    assert long == []


def test_evidence_is_written_once_and_its_source_below() -> None:
    fact = Evidence("bank.state", "AA", "a form", DAY, Assurance.DECLARED, True)
    other = Evidence("bank.gateway", "hub", "a visit", None, Assurance.OBSERVED, False)
    lines = text.finding_lines(finding(Verdict.FAIL, evidence=(fact, fact, other)))
    assert lines[1:4] == [
        "      - bank.state = AA: holds",
        "      - bank.gateway = hub: does not hold (a visit, observed)",
        "      facts: a form, as of 2026-11-25, declared, unless noted",
    ]


# --- JSON ---


def test_json_comes_back_with_its_digest(judged: JudgedNetwork) -> None:
    report = json_report.parse(json_report.render(judged))
    assert report.digest == judged.report.digest
    assert report == judged.report


def test_json_names_profiles_counts_and_reasons(judged: JudgedNetwork) -> None:
    members = json.loads(json_report.render(judged))
    assert members["form"] == json_report.FORMAT
    assert [each["id"] for each in members["profiles"]] == [each.id for each in judged.library.profiles]
    assert members["stops"] == len(judged.report.stops)
    for each in members["findings"]:
        assert bool(each["reason_code"]) == each["stops"]


def test_a_changed_report_is_found(judged: JudgedNetwork) -> None:
    members = json.loads(json_report.render(judged))
    bad = next(each for each in members["findings"] if each["verdict"] == "fail")
    bad["verdict"] = "pass"
    with pytest.raises(IntegrityError, match="its findings give"):
        json_report.parse(json.dumps(members))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"form": "other"}', "nothing"])
def test_another_text_is_a_usage_error(content: str) -> None:
    with pytest.raises(UsageError):
        json_report.parse(content)


def test_another_format_is_a_usage_error(judged: JudgedNetwork) -> None:
    members = json.loads(json_report.render(judged)) | {"form": "sycee.compliance.report.v0"}
    with pytest.raises(UsageError, match="v0"):
        json_report.parse(json.dumps(members))


# --- SARIF: the part of the schema of SARIF 2.1.0 that we use, and requirements of the standard ---

TEXT: Final = {"text": str}
SARIF: Final[Mapping[str, Mapping[str, Any]]] = {
    "log": {"$schema": str, "version": str, "runs": ["run"]},
    "run": {
        "tool": "tool",
        "automationDetails": {"id": str},
        "invocations": [{"executionSuccessful": bool}],
        "columnKind": str,
        "results": ["result"],
        "properties": None,
    },
    "tool": {"driver": {"name": str, "fullName": str, "semanticVersion": str, "rules": ["rule"]}},
    "rule": {
        "id": str,
        "name": str,
        "shortDescription": TEXT,
        "fullDescription": TEXT,
        "help": TEXT,
        "defaultConfiguration": {"level": str},
        "properties": None,
    },
    "result": {
        "ruleId": str,
        "ruleIndex?": int,
        "kind": str,
        "level": str,
        "message": TEXT,
        "locations": ["location"],
        "partialFingerprints": None,
        "suppressions?": [{"kind": str, "status": str, "justification": str}],
        "properties": None,
    },
    "location": {
        "logicalLocations": [{"name": str, "fullyQualifiedName": str, "kind": str}],
        "physicalLocation?": {"artifactLocation": {"uri": str}, "region": {"startLine": int}},
    },
}


def conforms(value: Any, shape: Any, where: str = "log") -> None:
    if shape is None:
        assert isinstance(value, dict), where
    elif isinstance(shape, str):
        conforms(value, SARIF[shape], where)
    elif isinstance(shape, list):
        assert isinstance(value, list), where
        for number, each in enumerate(value):
            conforms(each, shape[0], f"{where}[{number}]")
    elif isinstance(shape, Mapping):
        assert isinstance(value, dict), where
        allowed = {name.rstrip("?"): each for name, each in shape.items()}
        assert set(value) <= set(allowed), where
        assert {name for name in shape if not name.endswith("?")} <= set(value), where
        for name, each in value.items():
            conforms(each, allowed[name], f"{where}.{name}")
    else:
        assert type(value) is shape, where


def test_sarif_conforms_to_its_schema(judged: JudgedNetwork) -> None:
    log = json.loads(sarif.render(judged))
    conforms(log, "log")
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert run["columnKind"] in ("utf16CodeUnits", "unicodeCodePoints")
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    prints = set()
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["kind"] in ("notApplicable", "pass", "fail", "review", "open", "informational")
        assert result["level"] in ("none", "note", "warning", "error")
        # 3.27.10: only a failure has a level.
        assert (result["kind"] == "fail") == (result["level"] != "none")
        prints.add(result["partialFingerprints"]["finding/v1"])
    assert len(prints) == len(run["results"])


def test_sarif_leads_to_the_line_of_the_declaration(judged: JudgedNetwork) -> None:
    (run,) = sarif.log(judged)["runs"]
    found = 0
    for result in run["results"]:
        (location,) = result["locations"]
        place = location["physicalLocation"]
        (logical,) = location["logicalLocations"]
        path = Path(place["artifactLocation"]["uri"].removeprefix("file://"))
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[place["region"]["startLine"]] == f'id = "{logical["name"]}"'
        found += 1
    assert found > 400


@pytest.mark.parametrize(
    ("verdict", "force", "kind", "level"),
    [
        (Verdict.FAIL, Force.ENFORCED, "fail", "error"),
        (Verdict.CONFLICT, Force.ENFORCED, "fail", "error"),
        (Verdict.UNKNOWN, Force.ENFORCED, "fail", "error"),
        (Verdict.FAIL, Force.ADVISED, "fail", "warning"),
        (Verdict.CONFLICT, Force.ADVISED, "review", "none"),
        (Verdict.UNKNOWN, Force.ADVISED, "open", "none"),
        (Verdict.WAIVED, Force.ENFORCED, "fail", "warning"),
        (Verdict.ATTESTED, Force.ENFORCED, "informational", "none"),
        (Verdict.PASS, Force.ENFORCED, "pass", "none"),
    ],
)
def test_sarif_kind_and_level(verdict: Verdict, force: Force, kind: str, level: str) -> None:
    ((result,),) = (run["results"] for run in sarif.log(made(finding(verdict, force)))["runs"])
    assert (result["kind"], result["level"]) == (kind, level)
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "banks%20of%20all/declared.toml"


def test_sarif_omits_findings_that_do_not_apply_and_suppresses_waived_ones() -> None:
    waiver = Waiver("regime/rule", "bank", "head", "a reason", DAY, date(2027, 1, 1))
    judged = made(finding(Verdict.NOT_APPLICABLE), finding(Verdict.WAIVED, waiver=waiver))
    ((result,),) = (run["results"] for run in sarif.log(judged)["runs"])
    assert result["suppressions"] == [
        {"kind": "external", "status": "accepted", "justification": "a reason (head, until 2027-01-01)"}
    ]


def test_sarif_writes_a_message_once() -> None:
    ((result,),) = (run["results"] for run in sarif.log(made(finding(Verdict.FAIL, message="why")))["runs"])
    assert result["message"]["text"] == "why"
    ((result,),) = (run["results"] for run in sarif.log(made(finding(Verdict.FAIL, remedy="act")))["runs"])
    assert result["message"]["text"] == "A title\n      remedy: act"


# --- JUnit ---


def parsed(judged: JudgedNetwork) -> ET.Element:
    return ET.fromstring(junit.render(judged))  # noqa: S314 - our own


def test_junit_counts_its_cases(judged: JudgedNetwork) -> None:
    root = parsed(judged)
    assert root.tag == "testsuites"
    assert int(root.get("failures", "")) == len(judged.report.stops)
    assert int(root.get("tests", "")) == len(judged.report.findings)
    assert [suite.get("name") for suite in root] == [
        f"{each.id} version {each.version}" for each in judged.library.profiles
    ]
    for suite in root:
        cases = suite.findall("testcase")
        assert int(suite.get("tests", "")) == len(cases)
        assert int(suite.get("failures", "")) == len(suite.findall("testcase/failure"))
        assert int(suite.get("skipped", "")) == len(suite.findall("testcase/skipped"))
        names = [(case.get("classname"), case.get("name")) for case in cases]
        assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("verdict", "force", "child"),
    [
        (Verdict.FAIL, Force.ENFORCED, "failure"),
        (Verdict.UNKNOWN, Force.ENFORCED, "failure"),
        (Verdict.CONFLICT, Force.ENFORCED, "failure"),
        (Verdict.FAIL, Force.ADVISED, "skipped"),
        (Verdict.WAIVED, Force.ENFORCED, "skipped"),
        (Verdict.NOT_APPLICABLE, Force.ENFORCED, "skipped"),
        (Verdict.ATTESTED, Force.ENFORCED, "system-out"),
        (Verdict.PASS, Force.ENFORCED, None),
    ],
)
def test_junit_outcomes(verdict: Verdict, force: Force, child: str | None) -> None:
    root = parsed(made(finding(verdict, force, message="why")))
    (case,) = root.iter("testcase")
    assert [each.tag for each in case] == ([child] if child else [])
    assert (case.get("file"), case.get("line")) == ("banks of all/declared.toml", "7")


# --- hostile texts, in all formats ---


def hostile() -> JudgedNetwork:
    evidence = Evidence(HOSTILE, HOSTILE, HOSTILE, DAY, Assurance.DECLARED, False, HOSTILE)
    waiver = Waiver("regime/rule", "bank", HOSTILE, HOSTILE, DAY, date(2027, 1, 1))
    about: dict[str, Any] = {
        "message": HOSTILE,
        "evidence": (evidence,),
        "chain": (HOSTILE,),
        "list_row": HOSTILE,
        "missing": (HOSTILE,),
        "remedy": HOSTILE,
        "interpretation": HOSTILE,
        "conflicts_with": (HOSTILE,),
        "waiver": waiver,
    }
    judged = made(*(finding(verdict, **about) for verdict in Verdict), title=HOSTILE, limits=HOSTILE, issuer=HOSTILE)
    bank = replace(judged.network.entities["bank"], name=HOSTILE)
    return replace(judged, network=replace(judged.network, title=HOSTILE, entities={"bank": bank}))


def test_hostile_texts_are_text() -> None:
    judged = hostile()
    page = html.render(judged)
    assert "<script" not in page
    assert not re.search(r"<img src=x", page)
    root = parsed(judged)
    assert len(list(root.iter("testcase"))) == len(Verdict)
    assert HOSTILE in json.loads(sarif.render(judged))["runs"][0]["results"][0]["message"]["text"]
    assert json_report.parse(json_report.render(judged)).findings[-1].message == HOSTILE


UNSEEN: Final = "RED\x1b[31m\x00\x9b\u202e\nPASS: all\u2028\ufffe"


def test_unprintable_characters_are_escapes_in_every_format() -> None:
    """A name must not command a terminal, forge a line, change the direction of writing or break a document."""
    about: dict[str, Any] = {"message": UNSEEN, "remedy": UNSEEN, "list_row": UNSEEN, "chain": (UNSEEN,)}
    about |= {"evidence": (Evidence("bank.state", UNSEEN, UNSEEN, DAY, holds=False),)}
    judged = made(finding(Verdict.FAIL, **about), title=UNSEEN, issuer=UNSEEN)
    bank = replace(judged.network.entities["bank"], name=UNSEEN)
    judged = replace(judged, network=replace(judged.network, title=UNSEEN, entities={"bank": bank}))
    pages = {
        "text": text.render(judged),
        "svg": picture.svg(judged),
        "junit": junit.render(judged),
        "html": html.render(judged),
    }
    for name, said in pages.items():
        assert not re.search("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u202e\ufffe]", said), name
        assert r"RED\x1b[31m\x00\x9b\u202e" in said, name
    assert not re.search(r"^ *PASS", pages["text"], re.MULTILINE)
    for name in ("svg", "junit"):
        ET.fromstring(pages[name])  # noqa: S314 - our own


def test_of_many_subjects_the_worst_are_shown(judged: JudgedNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "SUBJECTS_MAX", 5)
    monkeypatch.setattr(html, "DRAWN_MAX", 100)
    monkeypatch.setattr(html, "REASONS_MAX", 1)
    page = html.render(judged)
    assert "101 participants and places are too many to draw on a page" in page
    assert re.search(r"The 1 most frequent of \d+ reasons", page)
    assert "the worst 5 of 41" in page
    anchors = set(re.findall(r' id="([^"]+)"', page))
    assert {link for link in re.findall(r'href="#([^"]+)"', page) if link not in anchors} == set()


# --- the page, in a browser ---


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (390, "light")])
def test_the_page_requests_nothing_and_fits(judged: JudgedNetwork, tmp_path: Path, width: int, scheme: str) -> None:
    path = tmp_path / "report.html"
    path.write_text(html.render(judged), encoding="utf-8")
    with opened(path, width=width, scheme=scheme) as seen:
        assert seen.requests == [path.as_uri()]
        assert seen.complaints == []
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
        assert seen.page.locator(".picture svg").count() == 1
        assert seen.page.locator("script").count() == 0
        # Every link within the page has a target.
        dead = seen.page.evaluate(
            "[...document.querySelectorAll('a[href^=\"#\"]')]"
            ".filter(a => !document.getElementById(decodeURIComponent(a.hash.slice(1)))).map(a => a.hash)"
        )
        assert dead == []


def test_the_page_of_the_example_is_small(judged: JudgedNetwork) -> None:
    network = declarations.load([EXAMPLE])
    shipped = library.load(data.names("profiles"))
    everything = JudgedNetwork(network, shipped, Judge(network, shipped, network.as_of).report())
    for each in (judged, everything):
        assert len(html.render(each).encode()) <= 200_000


def test_the_page_begins_with_what_stops(judged: JudgedNetwork) -> None:
    said = html.render(judged)
    order = [
        said.index(f'<h2 id="{each}-title"') for each in ("findings", "missing", "profiles", "who", "network", "rest")
    ]
    assert order == sorted(order)
    folds = re.findall(r"<details class=\"fold ([a-z0-9- ]+)\"", said)
    stops = ["stops" in each.split() for each in folds]
    assert stops == sorted(stops, reverse=True)
    assert any(stops)
    assert "not applicable" in said
    assert said.count('<details class="fold" open>') == 1  # the participants


def test_a_reader_filters_findings_without_a_script(judged: JudgedNetwork, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(html.render(judged), encoding="utf-8")
    with opened(path) as seen:

        def shown() -> set[str]:
            names = seen.page.locator(".filter > .fold").evaluate_all(
                "all => all.filter(e => e.checkVisibility()).map(e => e.className)"
            )
            return {word for each in names for word in each.split()} - {"fold"}

        everything = shown()
        assert {"fail", "unknown", "conflict", "waived", "stops", "p0", "p1"} <= everything
        seen.page.locator("label[for=verdict-fail]").click()
        assert shown() & {"fail", "unknown", "conflict", "waived"} == {"fail"}
        seen.page.locator("label[for=profile-p1]").click()
        assert shown() & {"p0", "p1"} <= {"p1"}
        seen.page.locator("label[for=verdict-all]").click()
        seen.page.locator("label[for=profile-all]").click()
        assert shown() == everything
        assert seen.complaints == []


def test_a_link_of_the_matrix_opens_its_findings(judged: JudgedNetwork, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(html.render(judged), encoding="utf-8")
    with opened(path) as seen:
        seen.page.locator(".matrix summary").first.click()
        link = seen.page.locator(".matrix li a").first
        target = link.get_attribute("href")
        link.click()
        assert target
        seen.page.wait_for_function("id => document.getElementById(id).parentElement.open", arg=target[1:])
