"""The pilots of Luohu and Suzhou over HTTP, from a draft to the close; Luohu with the figures of `sycee pilot`."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from tests.programmes.pilot_city import OFFICERS, City, city, top_ups

from sycee.client import api
from sycee.core import ids
from sycee.core.records.layout import Kind
from sycee.programmes import closing_report
from sycee.programmes.definition import load
from sycee.sandbox import assumptions, pilot, plan

SEED = 11
SMALL, LARGE = 0.0003, 0.02


def led(here: City, folder: Path) -> dict[str, int]:
    """Lead a pilot from its draft to its close, and return its figures under the names of `sycee pilot`."""
    name, first, targets = here.name, here.first, here.targets
    operator, officer, signer = here.by(first), here.by(OFFICERS[0]), here.signer(first)
    budget = targets.packet * targets.winners

    # Funder, draft and dry run.
    here.mint(first, budget)
    funder = operator.do(api.open_funder(here.programme.funder.name, here.numbers[first], signer))
    assert operator.do(api.fund_funder(funder.account, budget, signer)).balance_minor == budget
    draft = officer.do(api.draft_programme(here.text, funder.account, operators=here.numbers))
    assert (draft.name, draft.state) == (name, "draft")
    tried = operator.do(api.try_programme(name))
    assert (tried.ok, tried.members, tried.budget_minor) == (True, targets.winners, budget)

    # Registration, the published list, and the draw with a value that two persons bring.
    here.wait(here.programme.registration.from_ns)
    assert officer.do(api.open_registration(name)).state == "registration"
    here.wait(here.programme.registration.until_ns - 1)
    imported = here.register(folder / "people.csv")
    assert (imported.registered, imported.refused) == (len(here.people), {})
    here.wait(here.programme.registration.until_ns + plan.MINUTE_NS)
    assert officer.do(api.freeze_list(name)).entries == targets.registered
    published = officer.do(api.publish_list(name))
    announcement = here.nobody.do(api.programme_file(name, 0, "announcement.json"))
    assert hashlib.sha256(announcement).hexdigest() == published.announcement
    here.wait(here.programme.draw.beacon_due_ns)
    value = hashlib.sha256(announcement).digest()  # of a replay: synthetic
    for each in OFFICERS:
        brought = here.by(each).do(api.bring_beacon(name, 0, value))
    assert brought == {value.hex(): 2}
    assert officer.do(api.draw_winners(name)).members == targets.winners

    # Terms, cohort and drop.
    here.approve(officer.do(api.propose_terms(name)).proposal, *OFFICERS)
    cohort, number = here.cohort(), here.occurrence().number
    assert number is not None
    assert operator.do(api.allot_cohort(name, 0, cohort, signer, programme_number=number)).state == "allotted"
    here.let_shops_join()
    dropped = operator.do(api.drop_packets(name, 0, tried.shares, signer, programme_number=number))
    assert (dropped.state, dropped.dropped_minor) == ("dropped", budget)

    # Claims, top-ups and payments.
    timeline = here.planned()
    for operator_name, minor in zip(here.names, plan.top_ups_by_operator(timeline, here.planned_bank), strict=True):
        if minor:
            here.mint(operator_name, minor)
    here.wait(here.programme.spending.from_ns)
    here.lead(timeline)
    refund_own_money(here, timeline)

    # Expiry by the job, close and report.
    spent = here.occurrence()
    here.wait(here.programme.expires_ns)
    expired = here.occurrence()
    assert (expired.state, expired.spent_minor) == ("expired", spent.spent_minor)
    assert expired.dropped_minor == expired.spent_minor + expired.returned_minor
    closed = officer.do(api.close_occurrence(name))
    assert closed.state == "closed"
    found = here.bank.closing_reports.results(name, 0)
    assert (found.members, found.claimed, found.dropped_minor) == (closed.members, closed.claimed, budget)
    assert (found.spent_minor, found.returned_minor) == (closed.spent_minor, closed.returned_minor)
    assert (found.refunded_minor, found.pending_minor) == (0, 0)
    assert int(found.hours.payments.sum()) == found.payments
    situation = officer.do(api.drop_situation(name))
    assert (situation["claimed"], int(situation["spent_gross_minor"])) == (closed.claimed, closed.spent_minor)
    assert (situation["claims_refused"], situation["payments_refused"]) == ({}, {})
    return {
        "registered": closed.entries,
        "winners": closed.members,
        "claimed": closed.claimed,
        "payments": situation["payments"],
        "merchants": len(list(officer.rows(api.shops(name, state="joined")))),
        "budget": closed.dropped_minor,
        "minted": here.bank.stores.ledger.supply(here.programme.currency.code),
        "spent_from_packets": closed.spent_minor,
        "spent_own": int(situation["own_gross_minor"]),
        "returned": closed.returned_minor,
    }


def check_report(here: City, folder: Path, figures: dict[str, int]) -> None:
    """Write the closing report, and compare the file of its figures."""
    written = here.bank.closing_reports.write(here.name, 0, folder)
    assert folder / closing_report.REPORT in written
    with (folder / "summary.csv").open(newline="") as rows:
        summary = {row["figure"]: int(row["value"]) for row in csv.DictReader(rows)}
    assert summary["claimed"] == figures["claimed"]
    assert summary["spent_gross_minor"] == figures["spent_from_packets"]
    assert summary["returned_minor"] == figures["returned"]


def refund_own_money(here: City, timeline: plan.Plan) -> None:
    """Refund the own money of one payment: nothing returns to the packet, which was used first."""
    wallet, own = next(iter(top_ups(timeline.records).items()))
    pays = timeline.records[timeline.records["kind"] == Kind.PAY]
    last = [each for each in pays if ids.of_record(each, "debit") == wallet][-1]
    before = here.occurrence()
    assert here.bank.stores.ledger.balance(wallet) == 0
    here.refund(last, own)
    assert here.bank.stores.ledger.balance(wallet) == own
    after = here.occurrence()
    assert (after.spent_minor, after.left_minor) == (before.spent_minor, before.left_minor)


def check_late_refund(here: City) -> None:
    """Refund a packet's part after the close: it returns to the funder at once, and the wallet gets nothing."""
    timeline = here.planned()
    topped = top_ups(timeline.records)
    pays = timeline.records[timeline.records["kind"] == Kind.PAY]
    payment = next(each for each in pays if ids.of_record(each, "debit") not in topped)
    wallet, minor = ids.of_record(payment, "debit"), int(payment["amount"])
    before = here.occurrence()
    here.refund(payment, minor)
    assert here.occurrence().returned_minor == before.returned_minor + minor
    assert here.bank.stores.ledger.balance(wallet) == 0


def check_luohu(folder: Path, scale: float, *, writes_report: bool = False) -> None:
    programme = load("luohu-2020")
    assumed = assumptions.load(programme)
    targets = plan.Targets.of(programme, assumed, scale)
    outcome = pilot.run(programme, folder / "pilot", seed=SEED, scale=scale)
    assert outcome.agrees
    expected = {each.name: each.ledger for each in outcome.comparisons}
    officers = expected.pop("mint_officers")
    assert officers == len(OFFICERS)
    with city(folder, programme.name, assumed, targets, seed=SEED, scale=scale) as here:
        assert led(here, folder) == expected
        if writes_report:
            check_report(here, folder / "report", expected)
        check_late_refund(here)
        assert here.bank.check() == []


def check_suzhou(folder: Path, scale: float) -> None:
    programme = load("suzhou-2020")
    assumed, targets = suzhou(scale)
    with city(folder, programme.name, assumed, targets, seed=SEED, scale=scale) as here:
        figures = led(here, folder)
        assert figures["budget"] == figures["spent_from_packets"] + figures["returned"]
        assert figures["minted"] == figures["budget"] + figures["spent_own"]
        for name in ("registered", "winners", "claimed", "payments", "merchants", "spent_from_packets", "spent_own"):
            assert figures[name] == getattr(targets, name), name
        check_late_refund(here)
        assert here.bank.check() == []


def suzhou(scale: float) -> tuple[assumptions.Assumptions, plan.Targets]:
    """The published figures of Suzhou times a scale; registrants, payments and own money are invented."""
    programme = load("suzhou-2020")
    published, (packet,), (shops,) = programme.published, programme.packets, programme.merchants
    assert published.claimed is not None
    assert published.spent_from_packets is not None
    assumed = replace(
        assumptions.load(load("luohu-2020")),
        wallet_shares=(1,) * len(programme.operators),
        merchant_shares=(1,) * len(programme.operators),
        day_weights=(1,) * 17,
        claim_day_weights=(1,) * 17,
        repeated_document=0,
        repeated_phone=round(2 / scale),
    )
    emptied = round(90_000 * scale)
    part_spent = published.spent_from_packets.value - 90_000 * packet.amount_minor
    targets = plan.Targets(
        registered=round(300_000 * scale),
        winners=round(packet.count * scale),
        claimed=round(published.claimed.value * scale),
        emptied=emptied,
        untouched=round(1_000 * scale),
        payments=round(130_000 * scale),
        spent_from_packets=emptied * packet.amount_minor + round(part_spent * scale),
        spent_own=round(150_000_000 * scale),
        own_people=round(20_000 * scale),
        merchants=max(3, round(shops.count * scale)),
        packet=packet.amount_minor,
    )
    return assumed, targets


def test_luohu_with_the_figures_of_its_replay(tmp_path: Path) -> None:
    check_luohu(tmp_path, SMALL)


@pytest.mark.soak
def test_luohu_larger(tmp_path: Path) -> None:
    check_luohu(tmp_path, LARGE, writes_report=True)


@pytest.mark.soak
def test_suzhou_larger(tmp_path: Path) -> None:
    check_suzhou(tmp_path, LARGE)
