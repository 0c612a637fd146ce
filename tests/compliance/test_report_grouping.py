"""Grouping of findings in reports: equal findings are one row."""

from __future__ import annotations

from tests.compliance.test_reports import finding

from sycee.compliance.reports import grouping
from sycee.compliance.verdicts import Force, Verdict


def test_equal_findings_are_one_row() -> None:
    missing = [
        finding(
            Verdict.UNKNOWN,
            subject=f"bank-{n}",
            message=f"Whether bank-{n} meets it is unknown: bank-{n}.state is not declared.",
            missing=(f"bank-{n}.state",),
        )
        for n in range(3)
    ]
    other = finding(
        Verdict.UNKNOWN, subject="bank-7", message="Whether bank-7 meets it is unknown: bank-1.state is not declared."
    )
    (group,) = grouping.unmet([*missing, other, finding(Verdict.PASS)])
    assert group.subjects == ("bank-0", "bank-1", "bank-2", "bank-7")
    assert [(each.text, each.subjects) for each in group.reasons] == [
        ("its state is not declared.", ("bank-0", "bank-1", "bank-2")),
        ("bank-1.state is not declared.", ("bank-7",)),
    ]
    (held,) = grouping.met([*missing, finding(Verdict.PASS), finding(Verdict.NOT_APPLICABLE)])
    assert (held.verdict, held.subjects) == (Verdict.PASS, ("bank",))


def test_findings_of_one_rule_that_stop_are_apart_from_those_that_advise() -> None:
    groups = grouping.unmet(
        [finding(Verdict.FAIL, Force.ADVISED), finding(Verdict.UNKNOWN), finding(Verdict.FAIL, subject="b")]
    )
    assert [(each.verdict, each.first.stops) for each in groups] == [
        (Verdict.FAIL, True),
        (Verdict.UNKNOWN, True),
        (Verdict.FAIL, False),
    ]
