from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sycee import cli
from sycee.core.errors import UsageError
from sycee.core.records.layout import AccountKind, Purpose
from sycee.programmes import definition, draw
from sycee.programmes.definition import Programme, Window
from sycee.programmes.merchant_groups import MerchantGroup
from sycee.sandbox.behaviour import layout as c
from sycee.sandbox.behaviour import parameters
from sycee.sandbox.behaviour.draws import Draws, person_key
from sycee.sandbox.city import files
from sycee.sandbox.city.model import tiny_town
from sycee.sandbox.ledger_run import hours, record
from sycee.sandbox.ledger_run import run as runs
from sycee.sequencer.embedded import Ledger

TOWN = tiny_town(2_000, 120)
LUOHU = replace(
    definition.load("luohu-2020"),
    merchants=(MerchantGroup("food", 20, "town", ("food",)), MerchantGroup("others", 20, "town")),
)
HOUR = hours.HOUR_NS


def case_of(programme: Programme = LUOHU, **options: Any) -> runs.Case:
    return runs.prepare(programme, TOWN, parameters.standard().central(), seed=7, **options)


def test_every_purse_and_every_shop_is_equal_on_the_ledger(tmp_path: Path) -> None:
    case = case_of()
    recipients = runs.choose(case, tmp_path)
    assert draw.verify(tmp_path / runs.DRAW_FOLDER).ok
    outcome = runs.alone(case, recipients)
    found = runs.on_ledger(case, recipients, tmp_path)
    made = record.make(case, recipients, outcome, found)
    assert made["ledger"]["equal"], made["ledger"]
    assert made["ledger"]["payments"] - made["ledger"]["refunds"] == outcome.total("payments") > 100
    assert found.shops_paid.sum(axis=0).tolist() == [outcome.total("label"), outcome.total("own")]
    assert outcome.total("own") > 0
    assert made["totals"]["issued"] == made["totals"]["spent"] + made["totals"]["returned"]
    found.shops_paid[5, 0] += 1
    found.purses[9, c.SPENT] -= 1
    answer = record.make(case, recipients, outcome, found)["ledger"]
    assert (answer["equal"], answer["differences"]) == (False, 2)
    assert answer["purses_that_differ"][0]["person"] == 9
    assert answer["shops_that_differ"][0]["merchant"] == 5


def test_every_purchase_of_every_person_is_paid(tmp_path: Path) -> None:
    case = case_of(with_ordinary=True, days=9)  # two days more than the purses have
    recipients = runs.choose(case)
    outcome = runs.alone(case, recipients)
    found = runs.on_ledger(case, recipients, tmp_path)
    answer = record.make(case, recipients, outcome, found)["ledger"]
    assert answer["equal"], answer
    assert found.payments - found.refunds == outcome.total("payments")
    assert found.purchases > 3 * case.people
    shops, outside = record.paid(outcome, with_ordinary=True)
    assert outside == found.outside > 0
    every = outcome.cell_base.sum() + outcome.total("forward") + outcome.total("new") - outcome.total("paid_back")
    assert shops.sum() + outside == every
    with Ledger.open(tmp_path, create=False) as ledger:
        wallets = ledger.accounts(kind=AccountKind.WALLET)
        assert len(wallets) == case.people
        assert min(wallet.balance for wallet in wallets) >= 0
        with ledger.sequencer.reading() as state:
            top_ups = int(np.count_nonzero(state.movements["purpose"] == Purpose.TRANSFER))
    assert case.people / 2 < top_ups < found.purchases / 3  # each of a month's purchases at least


@pytest.mark.parametrize("with_ordinary", [False, True])
def test_refunded_payments_are_undone(tmp_path: Path, with_ordinary: bool) -> None:
    case = case_of(with_ordinary=with_ordinary, refund_ppm=400_000)
    recipients = runs.choose(case)
    outcome = runs.alone(case, recipients)
    outcome.check()
    found = runs.on_ledger(case, recipients, tmp_path)
    made = record.make(case, recipients, outcome, found)
    assert made["ledger"]["equal"], made["ledger"]
    assert found.refunds > 50
    assert found.payments - found.refunds == outcome.total("payments") > 50
    with Ledger.open(tmp_path, create=False) as ledger, ledger.sequencer.reading() as state:
        purses = state.purses(1)
        spent, refunded, returned = (int(purses[name].sum()) for name in ("spent", "refunded", "returned"))
    assert refunded == outcome.total("refunded") == made["totals"]["refunded"]
    assert made["totals"]["issued"] == spent - refunded + returned


def stricter(case: runs.Case) -> runs.Case:
    """Return a case whose ledger passes purses over in payments below 300 yuan, of which decisions do not know."""
    rules = replace(case.programme.rules, payment_min_minor=30_000)
    return replace(case, programme=replace(case.programme, rules=rules))


def test_refused_payments_did_not_happen(tmp_path: Path) -> None:
    case = case_of()
    recipients = runs.choose(case)
    found = runs.on_ledger(stricter(case), recipients, tmp_path)
    assert sum(found.refused.values()) > 0
    assert all(reason.startswith(("payment: ", "refund: ")) for reason in found.refused)
    drawn = found.purses[recipients.person]
    assert np.array_equal(drawn[:, c.SPENT] + drawn[:, c.RETURNED], recipients.minor)
    assert drawn[:, c.PAYMENTS].sum() == found.payments - found.refunds
    assert (drawn[:, c.DEBT] >= 0).all()
    assert found.shops_paid[:, 0].sum() == drawn[:, c.SPENT].sum()


def test_a_list_has_packets_of_two_classes(tmp_path: Path) -> None:
    packets = LUOHU.packets
    small = replace(packets[0], name="small", count=300, amount_minor=4_000)
    programme = replace(LUOHU, packets=(replace(packets[0], count=100), small))
    recipients = runs.choose(case_of(programme))
    again = runs.choose(case_of(programme))
    assert np.array_equal(recipients.person, again.person)
    assert [(share.first, share.minor) for share in recipients.shares()] == [(0, 20_000), (100, 4_000)]
    assert recipients.grants(2_000).sum() == recipients.minor.sum()


def test_days_without_an_operation_pass(tmp_path: Path) -> None:
    packets = (replace(LUOHU.packets[0], count=1),)
    case = case_of(replace(LUOHU, packets=packets), days=9)
    recipients = runs.choose(case)
    found = runs.on_ledger(case, recipients, tmp_path)
    assert record.make(case, recipients, runs.alone(case, recipients), found)["ledger"]["equal"]
    assert found.payments < 7
    setting = replace(case.setting, design=replace(case.setting.design, population=5_000_000))
    with pytest.raises(UsageError, match="none of the packets is left"):
        runs.choose(replace(case, setting=setting))


def test_claims_and_payments_are_in_their_windows() -> None:
    programme = replace(LUOHU, claim=Window(LUOHU.claim.from_ns, LUOHU.claim.from_ns + HOUR // 4))
    first = hours.day_of(programme, 0)
    assert first.from_ns == programme.claim.from_ns
    assert first.claims == (programme.claim.from_ns,)  # shorter than half an hour
    assert [(each - first.from_ns) // (HOUR // 2) for each in first.payments] == [1, 3, 5, 7]  # 18:30 to 21:30
    second = hours.day_of(programme, 1)
    assert (second.claims, len(second.payments)) == ((), 14)
    person = np.arange(500)
    some, every = person % 2 == 0, np.ones(500, bool)
    day = hours.day_of(LUOHU, 3)
    claimed, paid = hours.moments(day, 3, 7, person, some, every)
    assert set(claimed[~some].tolist()) == {0}
    assert (paid[some] >= claimed[some]).all()
    assert set(paid.tolist()) <= set(day.payments)
    bits = Draws(person_key(7, 41), 3).bits(c.HOUR)
    assert paid[41] == day.payments[(bits & 0xFFFFFFFF) * len(day.payments) >> 32]


def test_impossible_arguments_are_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="3 days end before") as caught:
        case_of(days=3)
    assert caught.value.hint == "at least 7 days"
    with pytest.raises(UsageError, match="the city tiny-town has EUR"):
        runs.prepare(LUOHU, replace(TOWN, currency="EUR"), parameters.standard().central(), seed=7)
    case = case_of(replace(LUOHU, rules=replace(LUOHU.rules, divisible=False)))
    with pytest.raises(UsageError, match="indivisible"):
        runs.on_ledger(case, runs.choose(case), tmp_path)


def test_the_command_runs_and_compares(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    city, programme, out = tmp_path / "town", tmp_path / "programme.toml", tmp_path / "record.json"
    files.write(TOWN, city)
    shipped = (resources("sycee.data") / "pilots" / "luohu-2020.toml").read_text()
    programme.write_text(shipped.replace('zones = ["luohu"] # of the city file shenzhen\n', ""))
    arguments = ["sandbox", "run", str(programme), "--city", str(city)]
    assert cli.main([*arguments, "--json"]) == 0
    engine = json.loads(capsys.readouterr().out)
    assert engine["ledger"] is None
    assert cli.main([*arguments, "--ledger", str(tmp_path / "ledger"), "--out", str(out)]) == 0
    shown = capsys.readouterr()
    assert "every purse and every shop is equal" in shown.out
    stored = json.loads(out.read_text())
    assert {**stored, "ledger": None} == engine
    assert stored["ledger"]["equal"]
    assert cli.main(["verify", str(tmp_path / "ledger"), "--authority"]) == 0
    assert cli.main([*arguments, "--ledger", str(tmp_path / "ledger")]) == 2
    assert "name a new folder for --ledger" in capsys.readouterr().err
    assert cli.main([*arguments, "--ordinary"]) == 2
    assert "name a folder for --ledger" in capsys.readouterr().err
    on_ledger = runs.on_ledger
    monkeypatch.setattr(runs, "on_ledger", lambda case, *rest: on_ledger(stricter(case), *rest))
    assert cli.main([*arguments, "--ledger", str(tmp_path / "other")]) == 3
    shown = capsys.readouterr()
    assert "ledger and engine differ" in shown.err
    assert "refused: " in shown.out
