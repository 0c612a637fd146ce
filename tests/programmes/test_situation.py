"""The situation while packets are spent, its flags, and the list of conditions before a drop."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.programmes import world
from tests.programmes.shops_town import NAME, claim, let_join, open_shop, pay, shop_town
from tests.programmes.world import ANN, NORTH, moment, person

from sycee.bank.readiness import Condition, conditions, file_evidence
from sycee.core.errors import UsageError
from sycee.programmes import situation
from sycee.programmes.situation_page import document, situation_page
from sycee.report import page


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
    assert "A flag is no finding" in content
    assert document(found)["payments_refused"] == {"EXCEEDS_BALANCE": 1}


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
