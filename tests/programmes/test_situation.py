"""The situation while packets are spent, its flags, and the list of conditions before a drop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.programmes import world
from tests.programmes.shops_town import NAME, claim, let_join, open_shop, pay, shop_town
from tests.programmes.world import ANN, NORTH, moment, person

from sycee.bank.readiness import Condition, conditions, file_evidence
from sycee.core.errors import NotFound, UsageError
from sycee.programmes import situation
from sycee.programmes.dropping import next_hour_ns
from sycee.programmes.situation_page import document, situation_page
from sycee.report import page
from sycee.sequencer import frozen
from sycee.storage.snapshot_copy import SnapshotCopy


def test_a_situation_has_refusals_by_cause_and_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(situation, "WHOLE_PACKETS_MIN", 2)
    monkeypatch.setattr(situation, "REFUND_PAYMENTS_MIN", 3)
    with world.opened(tmp_path, shop_town().copy(tmp_path)) as bank:
        tea, cafe = (open_shop(bank, each) for each in ("Tea house", "Cafe"))
        for each in (tea, cafe):
            let_join(bank, each)
        bank.set_clock(moment(7, 9))
        wallets = claim(bank, range(4))  # packets of 50, 50, 20 and 20
        for at in (2, 3):
            assert pay(bank, wallets[at], tea, 20_00).is_paid
        for number in range(5):
            paid = pay(bank, wallets[0], cafe, 1_00, text=f"C-{number}")
        assert bank.payments.refund_payment(
            paid.operation, 1_00, signers=bank.signers(NORTH), who=person(bank, NORTH)
        ).is_paid
        assert not pay(bank, wallets[2], tea, 1_00).is_paid
        found = bank.situations.read(NAME)
        assert (found.results.claimed, found.results.payments) == (4, 7)
        assert found.payments_refused == {"EXCEEDS_BALANCE": 1}
        assert {(each.kind, each.shop, each.wallet, each.count, each.of) for each in found.flags} == {
            (situation.WHOLE, tea, 0, 2, 2),
            (situation.PAIR, cafe, wallets[0], 5, 5),
        }
        monkeypatch.setattr(situation, "REFUND_SHARE_MIN", 20)
        refunds = [each for each in bank.situations.read(NAME).flags if each.kind == situation.REFUNDS]
        assert [(each.shop, each.count, each.of) for each in refunds] == [(cafe, 1_00, 5_00)]
        content = page.render(situation_page(bank.programmes.get(NAME).definition, found))
    assert "A flag is no proof" in content
    assert document(found)["payments_refused"] == {"EXCEEDS_BALANCE": 1}


def test_payments_go_on_while_a_situation_is_read_as_of_one_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frozen, "PIECE_BYTES", 1)  # a piece for each row
    with world.opened(tmp_path, shop_town().copy(tmp_path)) as bank:
        tea = open_shop(bank, "Tea house")
        let_join(bank, tea)
        bank.set_clock(moment(7, 9))
        wallets = claim(bank, range(2))  # packets of 50
        assert pay(bank, wallets[0], tea, 10_00).is_paid
        before, frame = document(bank.situations.read(NAME)), bank.stores.ledger.sequencer.durable_sequence
        paid: list[int] = []
        copy_rows = SnapshotCopy.copy_rows

        def pay_meanwhile(copying: SnapshotCopy, *piece: Any) -> None:
            if len(paid) < 4:
                paid.append(pay(bank, wallets[len(paid) % 2], tea, 1_00, text=f"T-{len(paid)}").operation)
            copy_rows(copying, *piece)

        monkeypatch.setattr(SnapshotCopy, "copy_rows", pay_meanwhile)
        found = bank.situations.read(NAME)
        assert (len(paid), found.results.frame) == (4, frame)
        assert document(found) == before
        assert bank.stores.ledger.sequencer.durable_sequence >= frame + 4
        after = bank.situations.read(NAME).results
        assert (after.payments, after.spent_minor) == (5, 14_00)
        assert bank.check() == []


def test_claims_meanwhile_are_of_a_later_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen, "PIECE_BYTES", 1)
    with world.opened(tmp_path, shop_town().copy(tmp_path)) as bank:
        bank.set_clock(moment(7, 9))
        claim(bank, range(1))
        before = document(bank.situations.read(NAME))
        copy_rows = SnapshotCopy.copy_rows

        def claim_meanwhile(copying: SnapshotCopy, *piece: Any) -> None:
            monkeypatch.setattr(SnapshotCopy, "copy_rows", copy_rows)
            claim(bank, [1])
            with pytest.raises(AssertionError):
                claim(bank, [0])  # the ledger refuses the second claim of a packet
            copy_rows(copying, *piece)

        monkeypatch.setattr(SnapshotCopy, "copy_rows", claim_meanwhile)
        assert document(bank.situations.read(NAME)) == before
        after = bank.situations.read(NAME)
        assert (after.results.claimed, int(after.results.hours.claims.sum())) == (2, 2)
        assert sum(after.claims_refused.values()) == 1


def named(found: tuple[Condition, ...]) -> dict[str, bool | None]:
    return {each.name: each.is_met for each in found}


def test_the_conditions_become_go_one_after_the_other(tmp_path: Path) -> None:
    with world.opened(tmp_path, shop_town().copy(tmp_path)) as bank:
        first = named(conditions(bank, NAME))
        assert first["cohort sealed"] is first["funder covered"] is first["books agree"] is True
        assert first["shops joined"] is first["outlets tested"] is first["day closed"] is False
        assert first["conformance of north"] is first["backup restored"] is None
        let_join(bank, open_shop(bank, "Tea house"))
        north, ann = person(bank, NORTH), person(bank, ANN)
        passed, failed = (json.dumps({"ok": ok, "checks": []}).encode() for ok in (True, False))
        assert file_evidence(bank, NAME, "conformance", passed, who=north, operator=2)
        assert not file_evidence(bank, NAME, "conformance", failed, who=ann, operator=3)
        assert file_evidence(bank, NAME, "restore", passed, who=ann)
        bank.programmes.halt(NAME, "a shop was robbed", who=ann)
        found = named(conditions(bank, NAME))
        assert found["shops joined"] is found["outlets tested"] is found["backup restored"] is True
        assert (found["conformance of north"], found["conformance of south"]) == (True, False)
        assert found["not halted"] is False
        bank.set_clock(moment(14))
        assert named(conditions(bank, NAME))["backup restored"] is False  # eight days ago


@pytest.mark.parametrize(
    ("kind", "operator", "content", "said"),
    [
        ("audit", 0, b"{}", "there is no evidence of the kind 'audit'"),
        ("conformance", 0, b"{}", "operator 0 does not fit conformance"),
        ("restore", 2, b"{}", "operator 2 does not fit restore"),
        ("restore", 0, b"[]", "has no member `ok`"),
        ("restore", 0, b'{"ok": 1}', "has no member `ok`"),
    ],
)
def test_what_is_no_evidence(tmp_path: Path, kind: str, operator: int, content: bytes, said: str) -> None:
    options = shop_town().copy(tmp_path)
    with world.opened(tmp_path, options) as bank, pytest.raises(UsageError, match=said):
        file_evidence(bank, NAME, kind, content, who=person(bank, ANN), operator=operator)


def test_a_job_stores_the_situation_of_each_hour_until_the_expiry(tmp_path: Path) -> None:
    with world.opened(tmp_path, world.at("dropped").copy(tmp_path)) as bank:
        history = bank.situation_history
        bank.stores.jobs.wait()
        before = [each.hour for each in history.list(NAME)]
        for hour in (8, 9):
            bank.set_clock(moment(7, hour))
            bank.stores.jobs.wait()
        hours = [each.hour for each in history.list(NAME)]
        assert hours == [*before, "2026-11-07T08", "2026-11-07T09"]
        assert history.document(NAME, 0, "2026-11-07T09")["members"] == 5
        assert b"Autumn packets" in history.page(NAME, 0, "2026-11-07T08")
        with pytest.raises(NotFound, match="no situation of the hour"):
            history.page(NAME, 0, "2026-11-07T03")
        bank.set_clock(moment(15))
        bank.stores.jobs.wait()
        bank.set_clock(moment(16))
        bank.stores.jobs.wait()
        assert bank.programmes.occurrence(NAME).state == "expired"
        assert [each.hour[:10] for each in history.list(NAME)][-1] in ("2026-11-07", "2026-11-15")
        assert bank.check() == []


def test_a_full_hour_is_one_of_the_time_zone() -> None:
    half, hour = 30 * 60 * 10**9, 3_600 * 10**9
    assert next_hour_ns(hour + 1, ZoneInfo("Asia/Shanghai")) == 2 * hour
    assert next_hour_ns(hour, ZoneInfo("Asia/Kolkata")) == hour + half
