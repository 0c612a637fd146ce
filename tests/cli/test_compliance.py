"""`sycee compliance` on the example of two regimes and on a network of two banks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

import pytest
from tests.cli.calling import start

from sycee.compliance.judging import cases
from sycee.compliance.reports import json_report
from sycee.core.keys import SigningKey

EXAMPLE: Final = Path(__file__).resolve().parents[2] / "examples" / "two-regimes"
BOTH: Final = ("--profile", "clean-network-2020", "--profile", "data-security-initiative-2020")

BANKS: Final = """
[network]
id = "two-banks"
title = "Two banks"
as_of = 2026-01-31
source = "their own word"

[[organisations]]
id = "examiner"
key = "EXAMINER"

[[facilities]]
id = "hub-aa"
state = "AA"

[[facilities]]
id = "hub-bb"
state = "BB"

[[spans]]
id = "line"
ends = ["hub-aa", "hub-bb"]
cost = 3

[[participants]]
id = "first-bank"
state = "AA"
gateway = "hub-aa"

[[participants]]
id = "second-bank"
state = "BB"
gateway = "hub-bb"
exit_terms = true

[[flows]]
id = "wages"
from = "first-bank"
to = "second-bank"
purpose = "payment"
via = ["line"]
"""

TERMS: Final = """
id = "terms"
version = 2
title = "Terms"
status = "law"
issuer = "an office"
effective_from = 2020-01-01
reviewed = 2026-01-01
summary = "Customers can leave."
limits = "Nothing else."

[[sources]]
id = "text"
title = "The text"
publisher = "an office"
date = 2020-01-01
at_hand = true

[[rules]]
id = "exit"
title = "Customers can leave"
level = "participant"
addressee = "company"
kind = "checked"
source = "text"
clause = "section 4"
remedy = "Publish terms."
require = [{ fact = "exit_terms", test = "is-true" }]
"""


@pytest.fixture
def banks(tmp_path: Path) -> Path:
    path = tmp_path / "banks.toml"
    path.write_text(BANKS.replace("EXAMINER", SigningKey.derive(bytes(32)).public.key.hex()), encoding="utf-8")
    return path


@pytest.fixture
def terms(tmp_path: Path) -> Path:
    path = tmp_path / "terms.toml"
    path.write_text(TERMS, encoding="utf-8")
    return path


def changed(path: Path, old: str, new: str, name: str = "changed.toml") -> Path:
    content = path.read_text(encoding="utf-8")
    assert old in content
    other = path.with_name(name)
    other.write_text(content.replace(old, new), encoding="utf-8")
    return other


def with_exit_terms(banks: Path) -> Path:
    """Return the same banks; customers of both can leave."""
    return changed(banks, 'gateway = "hub-aa"\n', 'gateway = "hub-aa"\nexit_terms = true\n', "leaving.toml")


# --- check ---


def test_check_shows_findings_that_stop_and_exits_with_one(sycee: Any, banks: Path, terms: Path) -> None:
    result = sycee("compliance", "check", banks, "--profile", terms)
    assert result.code == 1
    assert result.err == ""
    lines = result.out.splitlines()
    assert lines[:6] == [
        "Two banks, judged as of 2026-01-31",
        "1 finding stops 1 subject under the regimes enforced on 2026-01-31.",
        "",
        "Is not known to meet profile terms version 2 on declared facts as of 2026-01-31",
        "  (enforced).",
        "  1 unknown, 1 pass",
    ]
    line = banks.read_text(encoding="utf-8").splitlines().index('id = "first-bank"')
    assert f"first-bank (participant) [{banks}:{line}]" in " ".join(result.out.split())
    assert "      missing: first-bank.exit_terms" in lines


def test_check_exits_with_zero_if_nothing_stops(sycee: Any, banks: Path, terms: Path) -> None:
    result = sycee("compliance", "check", with_exit_terms(banks), "--profile", terms)
    assert result.code == 0
    assert "Meets profile terms version 2 on declared facts as of 2026-01-31 (enforced)." in result.out
    assert "PASS: terms/exit" not in result.out
    assert "PASS: terms/exit" in sycee("compliance", "check", with_exit_terms(banks), "--profile", terms, "--all").out


def test_check_joins_files(sycee: Any, banks: Path, terms: Path) -> None:
    more = banks.with_name("more.toml")
    more.write_text('[[participants]]\nid = "third-bank"\nexit_terms = false\n', encoding="utf-8")
    result = sycee("compliance", "check", banks, more, "--profile", terms)
    assert "  1 fail, 1 unknown, 1 pass" in result.out


def test_check_judges_as_of_any_day(sycee: Any, banks: Path, terms: Path) -> None:
    result = sycee("compliance", "check", banks, "--profile", terms, "--at", "2019-12-31")
    assert result.code == 0
    assert "Profile terms version 2 is not in effect on 2019-12-31." in result.out


def test_check_uses_all_shipped_profiles_by_default(sycee: Any, banks: Path) -> None:
    names = {each["id"] for each in sycee("compliance", "check", banks, "--json").json()["profiles"]}
    assert {"clean-network-2020", "data-security-initiative-2020", "rbi-payment-data-2018"} <= names


def test_check_writes_every_format(sycee: Any, tmp_path: Path) -> None:
    seen = {}
    for form in ("text", "json", "sarif", "junit", "html"):
        path = tmp_path / f"report.{form}"
        result = sycee("compliance", "check", EXAMPLE, *BOTH, "--format", form, "--output", path)
        assert (result.code, result.out) == (1, "")
        assert f"Written to {path}" in result.err
        seen[form] = path.read_text(encoding="utf-8")
    report = json_report.parse(seen["json"])
    assert json.loads(seen["sarif"])["version"] == "2.1.0"
    assert int(ET.fromstring(seen["junit"]).get("failures", "")) == len(report.stops)  # noqa: S314 - our own
    assert seen["html"].startswith("<!doctype html>")
    assert all(report.digest in seen[form] for form in seen)


def test_check_prints_a_format_too(sycee: Any, banks: Path, terms: Path) -> None:
    result = sycee("compliance", "check", banks, "--profile", terms, "--format", "junit")
    assert ET.fromstring(result.out).get("failures") == "1"  # noqa: S314 - our own
    assert sycee("compliance", "check", banks, "--profile", terms, "--json").json()["stops"] == 1


def test_check_draws_the_network(sycee: Any, banks: Path, terms: Path, tmp_path: Path) -> None:
    path = tmp_path / "network.svg"
    sycee("compliance", "check", banks, "--profile", terms, "--picture", path)
    assert ET.fromstring(path.read_text(encoding="utf-8")).get("role") == "img"  # noqa: S314 - our own


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["check", "BANKS", "--format", "html"], "--format html needs --output"),
        (["check", "BANKS", "--profile", "clean-netwrk-2020"], 'did you mean "clean-network-2020"?'),
        (["check", "BANKS", "--at", "yesterday"], '--at must be a date written as YYYY-MM-DD; got "yesterday"'),
        (["check", "BANKS", "--at", "20201201"], '--at must be a date written as YYYY-MM-DD; got "20201201"'),
        (["check", "BANKS", "--at", "2020-W49-2"], '--at must be a date written as YYYY-MM-DD; got "2020-W49-2"'),
        (["check", "BANKS", "--at", "2020-02-30"], '--at must be a date of the calendar; got "2020-02-30"'),
        (["check", "BANKS", "--at", "0000-01-01"], '--at must be a date of the calendar; got "0000-01-01"'),
        (["diff", "BANKS", "--to-at", "20201201"], "2020-12-01"),
        (["check", "nowhere"], "nowhere"),
        (["check", "BANKS", "--json", "--format", "sarif"], "two formats"),
        (["check", "BANKS", "--picture", "no/such/folder/file"], "its folder does not exist"),
        (["check", "BANKS", "--picture", "."], ". is a folder"),
        (["routes", "BANKS", "--flow", "wages", "--picture", "/"], "is a folder"),
        (["check", "BANKS", "--format", "pdf"], "pdf"),
        (["check", "BANKS", "--output", "no/such/folder/file"], "its folder does not exist"),
        (["explain", "BANKS", "first-bnk"], "first-bank"),
        (["routes", "BANKS"], "name FROM and TO"),
        (["routes", "BANKS", "first-bank"], "name FROM and TO"),
        (["routes", "BANKS", "--flow", "wagse"], "wages"),
        (["routes", "BANKS", "frist-bank", "second-bank"], 'did you mean "first-bank"?'),
        (["routes", "BANKS", "first-bank", "hub-bb"], "hub-bb is not a declared participant"),
        (["routes", "BANKS", "first-bank", "second-bank", "--origin", "USA"], 'did you mean "US"?'),
        (["routes", "BANKS", "first-bank", "second-bank", "--flow", "wages"], "name FROM and TO"),
        (["split", "BANKS", "clean-network-2020", "clean-network-2020"], "twice"),
        (["diff", "BANKS"], "nothing changes"),
        (["test", "no-such-case"], "no-such-case"),
    ],
)
def test_wrong_arguments_are_usage_errors(sycee: Any, banks: Path, words: list[str], says: str) -> None:
    result = sycee("compliance", *(banks if each == "BANKS" else each for each in words))
    assert result.code == 2
    assert result.out == ""
    assert says in result.err


@pytest.mark.parametrize("option", ["--output", "--picture"])
@pytest.mark.parametrize(
    "place", ["banks.toml", "folder/../terms.toml", "folder/part.toml", "folder/new.toml", "same.toml"]
)
def test_no_input_is_overwritten(sycee: Any, banks: Path, terms: Path, option: str, place: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    part = folder / "part.toml"
    part.write_text('[[participants]]\nid = "third-bank"\n', encoding="utf-8")
    (tmp_path / "same.toml").symlink_to(part)
    before = {path: path.read_text(encoding="utf-8") for path in (banks, terms, part)}
    result = sycee("compliance", "check", banks, folder, "--profile", terms, option, f"{tmp_path}/{place}")
    assert (result.code, result.out) == (2, "")
    assert f"{option} {tmp_path}/{place} would overwrite " in result.err
    assert {path: path.read_text(encoding="utf-8") for path in before} == before
    assert list(folder.iterdir()) == [part]


def test_a_report_and_its_picture_are_two_files(sycee: Any, banks: Path, terms: Path, tmp_path: Path) -> None:
    file = tmp_path / "one"
    result = sycee("compliance", "check", banks, "--profile", terms, "--output", file, "--picture", file)
    assert (result.code, result.err.splitlines()[0]) == (2, f"error: --output and --picture name the same file, {file}")
    assert not file.exists()


def test_routes_overwrites_no_input(sycee: Any, banks: Path) -> None:
    result = sycee("compliance", "routes", banks, "--flow", "wages", "--picture", banks)
    assert result.code == 2
    assert "--picture" in result.err
    assert banks.read_text(encoding="utf-8").startswith("\n[network]")


def test_a_missing_list_has_the_hint_to_give_it(sycee: Any, banks: Path, terms: Path) -> None:
    listed = changed(terms, 'test = "is-true"', 'test = "none-listed", list = "own-list"')
    result = sycee("compliance", "check", banks, "--profile", listed)
    assert result.code == 2
    assert "names the list own-list, which was not found" in result.err
    assert "hint: give it with --list FILE" in result.err


def test_a_byte_order_mark_is_no_error(sycee: Any, banks: Path, terms: Path) -> None:
    banks.write_text(banks.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert sycee("compliance", "check", with_exit_terms(banks), "--profile", terms).code == 0


@pytest.mark.parametrize("columns", [40, *(pytest.param(each, marks=pytest.mark.soak) for each in (80, 120))])
def test_lines_are_wrapped_at_the_width_of_the_terminal(
    sycee: Any, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    widest = []
    for words in (
        ("check", EXAMPLE, "--all", *BOTH),
        ("explain", EXAMPLE, "tropic-east-us-br", *BOTH),
        ("routes", EXAMPLE, "--flow", "alder-to-walnut", *BOTH),
        ("diff", EXAMPLE, *BOTH, "--to-at", "2021-03-01"),
    ):
        lines = sycee("compliance", *words).out.splitlines()
        assert [line for line in lines if len(line) > columns and len(line.split()) > 1] == []
        widest.append(max(map(len, lines)))
    assert widest[0] > columns - 3


def test_a_report_in_a_file_is_wrapped_at_80(sycee: Any, tmp_path: Path) -> None:
    report = tmp_path / "report.txt"
    sycee("compliance", "check", EXAMPLE, *BOTH, "--output", report)
    assert 70 < max(len(line) for line in report.read_text(encoding="utf-8").splitlines() if " " in line.strip()) <= 80


# --- explain ---


@pytest.mark.parametrize(
    ("subject", "says"),
    [
        ("hub-aa", "error: no rule is about hub-aa: none of these profiles judges a facility\nhint: they judge: part"),
        ("first-bnk", 'did you mean "first-bank"?'),
        ("wages @ line", "no rule judged line on the path of wages"),
    ],
)
def test_explain_of_a_subject_without_rules(sycee: Any, banks: Path, terms: Path, subject: str, says: str) -> None:
    result = sycee("compliance", "explain", banks, subject, "--profile", terms)
    assert (result.code, result.out) == (2, "")
    assert says in result.err


def test_explain_suggests_a_subject_on_a_path(sycee: Any) -> None:
    result = sycee("compliance", "explain", EXAMPLE, "elm-to-nairobi @ ke-exchang", *BOTH)
    assert result.code == 2
    assert 'did you mean "elm-to-nairobi @ ke-exchange"?' in result.err


def test_explain_shows_the_chain_the_row_and_the_remedy(sycee: Any) -> None:
    result = sycee("compliance", "explain", EXAMPLE, "tropic-east-us-br", "carrier", *BOTH)
    assert result.code == 1
    told = " ".join(result.out.split())
    for part in (
        "FAIL, stops: clean-network-2020/carrier",
        "control: china-telecom holds 6,000 of 10,000 basis points of tern-holding",
        "list: clean-network-2020-carriers: China Telecom",
        "remedy: Take a link of another carrier.",
        "rule: of a pledge, addressed to a company, Clean Carrier:",
    ):
        assert part in told
    other = sycee("compliance", "explain", EXAMPLE, "tropic-east-us-br", "cable", *BOTH)
    assert "(read second-hand)" in " ".join(other.out.split())


def test_explain_shows_findings_that_apply_first(sycee: Any) -> None:
    result = sycee("compliance", "explain", EXAMPLE, "cedar-savings", *BOTH)
    assert result.code == 1
    verdicts = [
        line.split(":")[0].strip() for line in result.out.splitlines() if line.startswith("  ") and line[2].isupper()
    ]
    assert verdicts == ["CONFLICT, stops", "ATTESTED", "ATTESTED", "ATTESTED", "PASS", "PASS"]


def test_explain_of_a_subject_on_a_path(sycee: Any) -> None:
    words = ("compliance", "explain", EXAMPLE, "elm-to-nairobi @ ke-exchange", "path-places", *BOTH)
    found = sycee(*words, "--json").json()["findings"]
    assert [each["verdict"] for each in found] == ["fail"]
    assert found[0]["list_row"] == "clean-network-2020-vendors: Huawei"


@pytest.mark.parametrize(
    ("rule", "says"),
    [("carier", 'did you mean "carrier"?'), ("dsi-4a", "dsi-4a is not about tropic-east-us-br")],
)
def test_explain_of_another_rule(sycee: Any, rule: str, says: str) -> None:
    result = sycee("compliance", "explain", EXAMPLE, "tropic-east-us-br", rule, *BOTH)
    assert result.code == 2
    assert says in result.err


# --- routes ---


def test_routes_of_a_declared_flow(sycee: Any, tmp_path: Path) -> None:
    path = tmp_path / "way.svg"
    words = ("compliance", "routes", EXAMPLE, "--flow", "alder-to-walnut", *BOTH)
    result = sycee(*words, "--picture", path)
    assert result.code == 1
    assert "no route: the nearest miss lacks facts under data-security-initiative-2020" in result.out
    assert "facts that would decide: noddy-cable.attested.no-tampering-or-theft" in result.out
    assert "applies because of the flow itself (enforced)" in result.out
    drawn = path.read_text(encoding="utf-8")
    assert "the chosen route" not in drawn
    assert "the nearest miss, not a route" in drawn
    ways = sycee(*words, "--json").json()
    assert not ways["together"]["route"]
    assert all(each["route"] for each in ways["alone"].values())
    assert ways["together"]["missing"] == ["noddy-cable.attested.no-tampering-or-theft"]


def test_routes_between_two_participants(sycee: Any) -> None:
    asked = ("--purpose", "payment", "--class", "payment", "--subject-state", "GB", "--origin", "GB")
    result = sycee("compliance", "routes", EXAMPLE, "holly-bank", "laurel-bank", *asked, *BOTH, "--json")
    assert result.code == 1  # its legal bases and its readers were not given
    assert result.json()["free"]["route"]
    assert "asked.accessors" in result.json()["together"]["missing"]


@pytest.mark.parametrize(
    ("option", "value"), [("--currency", "usd"), ("--class", "persnal"), ("--subject-state", "aa"), ("--origin", "USA")]
)
def test_routes_names_the_option_that_is_wrong(sycee: Any, option: str, value: str) -> None:
    result = sycee("compliance", "routes", EXAMPLE, "holly-bank", "laurel-bank", option, value)
    assert result.code == 2
    assert result.err.startswith(f'error: {option}: found "{value}"')
    assert "the payment" not in result.err.splitlines()[0]


def test_routes_under_an_enforced_pledge(sycee: Any, banks: Path, terms: Path) -> None:
    pledge = changed(terms, 'status = "law"', 'status = "pledge"')
    words = ("compliance", "routes", banks, "--flow", "wages", "--profile", pledge)
    assert sycee(*words).code == 0
    result = sycee(*words, "--enforce", "terms", "--json")
    assert result.code == 1
    assert result.json()["together"]["lacking"] == ["terms"]


# --- split ---


def test_split_shows_who_can_still_pay_whom(sycee: Any) -> None:
    words = ("compliance", "split", EXAMPLE, "clean-network-2020", "data-security-initiative-2020")
    result = sycee(*words)
    assert result.code == 0
    assert "both, touched by both: 5 participants" in result.out
    assert "sycee compliance routes NETWORK FROM TO" in result.out
    found = sycee(*words, "--json").json()
    assert len(found["payments"]) == 41 * 40
    (pair,) = (each for each in found["payments"] if (each["source"], each["target"]) == ("alder-bank", "walnut-bank"))
    assert (pair["free"], pair["first"], pair["second"], pair["together"]) == (10, 12, 10, None)
    total = found["all"]
    assert total["pairs"] == total["connected"] == 41 * 40
    assert total["together"]["lost"] >= max(total["first"]["lost"], total["second"]["lost"]) > 0
    blocs = sycee(*words, "--first-state", "US", "--second-state", "CN", "--second-state", "HK", "--json").json()[
        "blocs"
    ]
    assert [list(blocs.values()).count(bloc) for bloc in ("first", "second", "both", "between")] == [5, 8, 0, 28]
    wrong = sycee(*words, "--first-state", "USA")
    assert (wrong.code, 'did you mean "US"?' in wrong.err) == (2, True)


# --- diff ---


def test_diff_of_declarations(sycee: Any, banks: Path, terms: Path) -> None:
    result = sycee("compliance", "diff", banks, "--to-network", with_exit_terms(banks), "--profile", terms)
    assert result.code == 0
    assert "1 finding differs: 0 stop now, 1 stopped before." in result.out
    told = " ".join(result.out.split())
    assert "stopped before: terms/exit on first-bank: unknown (enforced) -> pass (enforced)" in told
    back = sycee("compliance", "diff", with_exit_terms(banks), "--to-network", banks, "--profile", terms, "--json")
    assert back.code == 1
    assert back.json()["stops_now"] == 1
    assert back.json()["changes"][0]["after"] == "unknown"


def test_diff_of_a_profile_and_of_the_day(sycee: Any, banks: Path, terms: Path) -> None:
    pledge = changed(terms, 'status = "law"', 'status = "pledge"')
    result = sycee("compliance", "diff", banks, "--profile", terms, "--to-profile", pledge)
    told = " ".join(result.out.split())
    assert "stopped before: terms/exit on first-bank: unknown (enforced) -> unknown (advised)" in told
    result = sycee("compliance", "diff", banks, "--profile", terms, "--at", "2019-01-01", "--to-at", "2026-01-31")
    assert result.code == 1
    assert "stops now: terms/exit on first-bank" in result.out


def test_diff_of_a_list(sycee: Any, tmp_path: Path) -> None:
    from sycee import data

    shipped = data.content("lists", "clean-network-2020-carriers").decode()
    expired = tmp_path / "carriers.toml"
    expired.write_text(
        shipped.replace("complete = true", "valid_until = 2020-11-01\ncomplete = true", 1), encoding="utf-8"
    )
    result = sycee("compliance", "diff", EXAMPLE, "--to-list", expired, "--profile", BOTH[1], "--json")
    assert result.code == 1
    changes = {(each["subject"], each["before"], each["after"]) for each in result.json()["changes"]}
    assert ("northern-arc-us-jp", "pass", "unknown") in changes
    assert ("tropic-east-us-br", "fail", "unknown") in changes


def test_nothing_differs(sycee: Any, banks: Path, terms: Path) -> None:
    result = sycee("compliance", "diff", banks, "--to-network", banks, "--profile", terms)
    assert result.code == 0
    assert result.out.startswith("No verdict differs.\n")


# --- test ---


def test_without_a_name_the_shipped_cases_are_judged(sycee: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    some = cases.shipped()[:3]  # tests/compliance/test_cases.py judges all of them
    monkeypatch.setattr(cases, "shipped", lambda: some)
    result = sycee("compliance", "test", "--json")
    assert result.code == 0
    judged = result.json()["cases"]
    assert len(judged) == len(some)
    assert all(each["problems"] == [] for case in judged for each in case["expectations"])


def test_a_case_with_another_verdict_is_shown(sycee: Any, tmp_path: Path) -> None:
    from sycee import data

    case = tmp_path / "data-security-links.toml"
    content = data.content("cases", "data-security-links").decode()
    case.write_text(content.replace('verdict = "attested"', 'verdict = "fail"', 1), encoding="utf-8")
    result = sycee("compliance", "test", case)
    assert result.code == 3
    assert "FAILED data-security-links: 6 expectations" in result.out
    assert "verdict: expected fail, found attested" in result.out
    assert "1 of 6 expectations do not hold" in result.err


def test_a_folder_is_searched_for_cases(sycee: Any, terms: Path, tmp_path: Path) -> None:
    from sycee import data

    folder = tmp_path / "cases"
    folder.mkdir()
    result = sycee("compliance", "test", folder)
    assert (result.code, result.err.splitlines()[0]) == (2, f"error: {folder} contains no TOML file")
    beside = folder / "terms.toml"
    beside.write_bytes(terms.read_bytes())
    result = sycee("compliance", "test", folder)
    assert (result.code, result.err.splitlines()[0]) == (2, f"error: {folder} contains no golden case")
    case = data.content("cases", "data-security-links")
    (folder / "data-security-links.toml").write_bytes(case)
    (folder / "carriers.toml").write_bytes(data.content("lists", "clean-network-2020-carriers"))
    assert sycee("compliance", "test", folder).out.endswith("6 of 6 expectations in 1 cases hold\n")
    named = sycee("compliance", "test", beside)
    assert named.code == 2
    assert "terms.toml" in named.err
    (folder / "slip.toml").write_bytes(case.replace(b"expect", b"expct"))
    result = sycee("compliance", "test", folder)
    assert result.code == 2
    assert "slip.toml" in result.err


# --- attest ---


def test_attest_signs_a_table_for_the_declarations(sycee: Any, banks: Path, terms: Path, tmp_path: Path) -> None:
    key = tmp_path / "examiner.pem"
    SigningKey.derive(bytes(32)).save(key)
    words = (
        "--by",
        "examiner",
        "--key",
        key,
        "--topic",
        "no-backdoors",
        "--fact",
        "exit_terms",
        "--expires",
        "2027-01-31",
    )
    result = sycee("compliance", "attest", banks, "second-bank", *words)
    assert result.code == 0
    assert result.out.startswith('[[attestations]]\nsubject = "second-bank"\ntopics = ["no-backdoors"]\n')
    signed = banks.with_name("signed.toml")
    signed.write_text(banks.read_text(encoding="utf-8") + "\n" + result.out, encoding="utf-8")
    found = sycee("compliance", "explain", signed, "second-bank", "exit", "--profile", terms, "--json").json()[
        "findings"
    ]
    assert [each["assurance"] for each in found] == ["third-party"]
    assert sycee("compliance", "attest", banks, "second-bank", *words, "--json").json()["toml"] == result.out


def test_attest_by_another_key_is_refused(sycee: Any, banks: Path, tmp_path: Path) -> None:
    key = tmp_path / "other.pem"
    SigningKey.derive(bytes([1]) * 32).save(key)
    result = sycee("compliance", "attest", banks, "second-bank", "--by", "examiner", "--key", key, "--topic", "t")
    assert (result.code, result.out) == (2, "")


def test_attest_by_an_undeclared_organisation_is_refused(sycee: Any, banks: Path, tmp_path: Path) -> None:
    key = tmp_path / "examiner.pem"
    SigningKey.derive(bytes(32)).save(key)
    result = sycee("compliance", "attest", banks, "second-bank", "--by", "exmainer", "--key", key, "--topic", "t")
    assert result.code == 2
    assert result.err == 'error: the network declares no organisation "exmainer"\nhint: did you mean "examiner"?\n'


# --- as a process ---


def test_help_of_the_group_judges_nothing() -> None:
    process = start("compliance", "--help")
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert all(word in out for word in ("check", "routes", "explain", "split", "diff", "test", "attest"))
    for line in (
        "Find the best route for a flow",
        "Divide the network into two blocs",
        "Show the verdicts that differ",
    ):
        assert line in out
