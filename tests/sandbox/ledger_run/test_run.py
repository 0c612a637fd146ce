from __future__ import annotations

import io
import json
import shutil
from contextlib import closing
from dataclasses import replace
from importlib.resources import files as resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from sycee import cli
from sycee.bank.bank import Bank
from sycee.core.errors import IntegrityError, UnavailableError, UsageError
from sycee.core.limits import COHORT_MEMBERS_MAX
from sycee.core.records.layout import AccountKind, Purpose
from sycee.programmes import definition, draw
from sycee.programmes.definition import DrawRule, Programme, Split, Stratum, Window
from sycee.programmes.merchant_groups import MerchantGroup
from sycee.programmes.zones import Zone
from sycee.sandbox.behaviour import layout as c
from sycee.sandbox.behaviour import parameters
from sycee.sandbox.behaviour.draws import Draws, person_key
from sycee.sandbox.city import files
from sycee.sandbox.city.model import tiny_town
from sycee.sandbox.engine.outcome import RunOutcome
from sycee.sandbox.ledger_run import hours, record
from sycee.sandbox.ledger_run import run as runs
from sycee.sandbox.ledger_run.folder import BANK, Day, RunFolder
from sycee.sandbox.ledger_run.live import LiveBank
from sycee.sandbox.ledger_run.recipients import Recipients
from sycee.sandbox.ledger_run.sending import Sender
from sycee.sandbox.validity import predicting
from sycee.sequencer.embedded import Ledger

TOWN = tiny_town(2_000, 120)
LUOHU = replace(
    definition.load("luohu-2020"),
    merchants=(MerchantGroup("food", 20, "town", ("food",)), MerchantGroup("others", 20, "town")),
)
HOUR = hours.HOUR_NS
REFUNDING = parameters.standard().of({"refund_share": 0.4})


def case_of(programme: Programme = LUOHU, **options: Any) -> runs.Case:
    return runs.prepare(programme, TOWN, parameters.standard().central(), seed=7, **options)


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank in which the operators have joined, to be copied."""
    folder = tmp_path_factory.mktemp("founded")
    with LiveBank.found(folder / BANK, LUOHU, b"luohu-2020:7"):
        return folder


class Ran(NamedTuple):
    recipients: Recipients
    outcome: RunOutcome
    found: runs.OnLedger


def begin(case: runs.Case, founded: Path, path: Path) -> None:
    """Make the folder of a run whose bank is founded."""
    with closing(RunFolder.open(path, runs.facts(case))) as folder:
        shutil.copytree(founded, path, dirs_exist_ok=True)
        folder.founded()


def ran(case: runs.Case, founded: Path, path: Path) -> Ran:
    begin(case, founded, path)
    with runs.opened(case, path) as begun:
        outcome = runs.alone(case, begun.recipients)
        return Ran(begun.recipients, outcome, runs.on_ledger(case, begun))


def test_every_purse_and_every_shop_is_equal_on_the_ledger(founded: Path, tmp_path: Path) -> None:
    case = case_of()
    recipients, outcome, found = ran(case, founded, tmp_path)
    (files,) = (tmp_path / BANK / "programmes" / "luohu-2020").iterdir()
    assert draw.verify(files).ok
    alone = runs.choose(case)  # without a bank, the same draw
    assert np.array_equal(alone.grants(case.people), recipients.grants(case.people))
    assert np.array_equal(alone.member, recipients.member)
    with Bank.open(tmp_path / BANK) as bank:
        assert bank.programmes.occurrence("luohu-2020").state == "closed"
        assert bank.check() == []
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


def test_every_purchase_of_every_person_is_paid(founded: Path, tmp_path: Path) -> None:
    case = case_of(with_ordinary=True, days=9)  # two days more than the purses have
    recipients, outcome, found = ran(case, founded, tmp_path)
    answer = record.make(case, recipients, outcome, found)["ledger"]
    assert answer["equal"], answer
    assert found.payments - found.refunds == outcome.total("payments")
    assert found.purchases > 3 * case.people
    shops, outside = record.paid(outcome, with_ordinary=True)
    assert outside == found.outside > 0
    every = outcome.cell_base.sum() + outcome.total("forward") + outcome.total("new") - outcome.total("paid_back")
    assert shops.sum() + outside == every
    with Ledger.open(tmp_path / BANK, create=False) as ledger:
        wallets = ledger.accounts(kind=AccountKind.WALLET)
        assert len(wallets) == case.people
        assert min(wallet.balance for wallet in wallets) >= 0
        with ledger.sequencer.reading() as state:
            chosen = state.movements["purpose"] == Purpose.TRANSFER
            credit = state.accounts[state.movements["credit_row"][chosen]]
            top_ups = int(np.count_nonzero(credit["kind"] == AccountKind.WALLET))
    assert case.people / 2 < top_ups < found.purchases / 3  # each of a month's purchases at least


@pytest.mark.parametrize("with_ordinary", [pytest.param(False, marks=pytest.mark.soak), True])
def test_refunded_payments_are_undone(founded: Path, tmp_path: Path, with_ordinary: bool) -> None:
    case = runs.prepare(LUOHU, TOWN, REFUNDING, seed=7, with_ordinary=with_ordinary)
    recipients, outcome, found = ran(case, founded, tmp_path)
    outcome.check()
    made = record.make(case, recipients, outcome, found)
    assert made["ledger"]["equal"], made["ledger"]
    assert found.refunds > 50
    assert found.payments - found.refunds == outcome.total("payments") > 50
    with Ledger.open(tmp_path / BANK, create=False) as ledger, ledger.sequencer.reading() as state:
        purses = state.purses(1)
        spent, refunded, returned = (int(purses[name].sum()) for name in ("spent", "refunded", "returned"))
    assert refunded == outcome.total("refunded") == made["totals"]["refunded"]
    assert made["totals"]["issued"] == spent - refunded + returned


def stricter(case: runs.Case) -> runs.Case:
    """Return a case whose ledger passes purses over in payments below 300 yuan, of which decisions do not know."""
    rules = replace(case.programme.rules, payment_min_minor=30_000)
    return replace(case, programme=replace(case.programme, rules=rules))


def test_refused_payments_did_not_happen(founded: Path, tmp_path: Path) -> None:
    recipients, _, found = ran(stricter(case_of()), founded, tmp_path)
    assert sum(found.refused.values()) > 0
    assert all(reason.startswith(("payment: ", "refund: ")) for reason in found.refused)
    drawn = found.purses[recipients.person]
    assert np.array_equal(drawn[:, c.SPENT] + drawn[:, c.RETURNED], recipients.minor)
    assert (drawn[:, c.DEBT] >= 0).all()
    assert found.shops_paid[:, 0].sum() == drawn[:, c.SPENT].sum()


def test_an_indivisible_packet_of_two_strata_pays_once(founded: Path, tmp_path: Path) -> None:
    strata = (Stratum("a", 20_000), Stratum("b", 30_000))
    classes = (
        replace(LUOHU.packets[0], count=10_000),
        replace(LUOHU.packets[0], name="small", count=40_000, amount_minor=5_000),
    )
    programme = replace(
        LUOHU,
        rules=replace(LUOHU.rules, divisible=False),
        draw=replace(LUOHU.draw, strata=strata),
        packets=classes,
        registration_rules=replace(LUOHU.registration_rules, document_characters=17),
    )
    case = runs.prepare(programme, replace(TOWN, one_in=500), parameters.standard().central(), seed=7)
    recipients, outcome, found = ran(case, founded, tmp_path)
    answer = record.make(case, recipients, outcome, found)["ledger"]
    assert answer["equal"], answer
    assert [(share.count, share.minor) for share in recipients.shares()] == [(20, 20_000), (80, 5_000)]
    assert np.array_equal(runs.choose(case).grants(case.people), recipients.grants(case.people))
    assert set(found.purses[recipients.person, c.PAYMENTS].tolist()) == {0, 1}
    (files,) = (tmp_path / BANK / "programmes" / "luohu-2020").iterdir()
    assert [each.winners for each in draw.read_frozen(files).announcement.strata] == [40, 60]


EQUAL = replace(
    LUOHU,
    mode=definition.EQUAL,
    packets=(),
    draw=DrawRule(definition.ALL_RULE, (Stratum(definition.EVERYBODY, COHORT_MEMBERS_MAX),)),
)


@pytest.mark.parametrize("mode", [definition.EQUAL, definition.RANDOM_SPLIT])
def test_a_budget_is_divided_as_the_bank_divides_it(mode: str, founded: Path, tmp_path: Path) -> None:
    split = replace(LUOHU, mode=mode, packets=(), split=Split(5_000, 500))
    programme = EQUAL if mode == definition.EQUAL else split
    case = runs.prepare(programme, replace(TOWN, one_in=500), parameters.standard().central(), seed=7)
    recipients, outcome, found = ran(case, founded, tmp_path)
    answer = record.make(case, recipients, outcome, found)["ledger"]
    assert answer["equal"], answer
    assert outcome.total("payments") > 50
    budget = LUOHU.budget_minor // 500
    if mode == definition.EQUAL:
        assert recipients.person.size == recipients.registered
        assert set(recipients.minor.tolist()) == {budget // recipients.registered}
    else:
        assert (recipients.person.size, recipients.minor.sum()) == (100, budget)
        assert recipients.minor.min() >= 5_000
        assert len(set(recipients.minor.tolist())) > 20
    again = runs.choose(case)
    assert np.array_equal(again.grants(case.people), recipients.grants(case.people))


def test_a_later_zone_is_dropped_and_claimed_at_its_time(founded: Path, tmp_path: Path) -> None:
    day = 24 * HOUR
    third_ns = LUOHU.claim.from_ns + 2 * day - 10 * HOUR  # 08:00 on day 2
    zones = (
        Zone("a", (10_000, 10_000), None, False),
        Zone("b", (5_000, 15_000), third_ns + day, True),
        Zone("c", (5_000, 5_000), third_ns - HOUR // 3, False),
    )
    programme = replace(
        LUOHU,
        draw=replace(LUOHU.draw, strata=tuple(Stratum(each.name, sum(each.packets)) for each in zones)),
        packets=(
            replace(LUOHU.packets[0], count=20_000),
            replace(LUOHU.packets[0], name="small", count=30_000, amount_minor=5_000),
        ),
        zones=zones,
    )
    programme = replace(programme, budget_minor=sum(each.count * each.amount_minor for each in programme.packets))
    case = runs.prepare(programme, replace(TOWN, one_in=500), parameters.standard().central(), seed=7)
    recipients, outcome, found = ran(case, founded, tmp_path)
    answer = record.make(case, recipients, outcome, found)["ledger"]
    assert answer["equal"], answer
    assert [(share.count, share.minor) for share in recipients.shares()] == [
        (20, 20_000), (20, 5_000), (10, 20_000), (30, 5_000), (10, 20_000), (10, 5_000)
    ]  # fmt: skip
    assert recipients.since.tolist() == [0] * 40 + [3] * 40 + [2] * 20
    purses = found.purses[recipients.person]
    claimed = purses[:, c.CLAIM_DAY] >= recipients.since
    assert claimed.all()
    assert set(purses[:40, c.CLAIM_DAY].tolist()) >= {0, 1}
    assert purses[40:, c.PAYMENTS].sum() > 30
    again = runs.choose(case)
    assert np.array_equal(again.grants(case.people), recipients.grants(case.people))
    assert np.array_equal(again.from_days(case.people), recipients.from_days(case.people))
    with Bank.open(tmp_path / BANK) as bank:
        frames = [each.frame for each in bank.programmes.zones("luohu-2020")]
    assert None not in frames
    assert frames[0] < frames[2] < frames[1]  # the second zone may be skipped


def test_packets_of_a_zone_are_claimed_from_the_first_day_that_begins_after_its_drop() -> None:
    start = LUOHU.claim.from_ns  # 18:00
    days = [hours.first_day(LUOHU, start + each * HOUR) for each in (-30, 0, 1, 14, 15, 24 * 30)]
    assert days == [0, 0, 1, 1, 2, 7]


class Killed(Exception):
    """The end of a run in the middle of a day."""


def test_an_interrupted_run_continues(founded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = case_of(with_ordinary=True)
    send, sent = Sender.send, [0]

    def interrupted(sender: Sender, *args: Any) -> None:
        sent[0] += 1
        if sent[0] == 60:  # on the fifth day, with submissions that are not answered
            raise Killed
        send(sender, *args)

    monkeypatch.setattr(Sender, "send", interrupted)
    with pytest.raises(Killed):
        ran(case, founded, tmp_path)
    monkeypatch.undo()
    with runs.opened(case, tmp_path) as begun:
        kept = begun.folder.day()
        assert kept is not None
        assert 1 < kept.days < case.setting.days
        outcome = runs.alone(case, begun.recipients)
        found = runs.on_ledger(case, begun)
    again = record.make(case, begun.recipients, outcome, found)["ledger"]
    assert again["equal"], again
    with (
        pytest.raises(UsageError, match="has a run with seed 7, and this one has 8"),
        runs.opened(runs.prepare(LUOHU, TOWN, parameters.standard().central(), seed=8, with_ordinary=True), tmp_path),
    ):
        pass
    with runs.opened(case, tmp_path) as begun:  # a run that is complete gives the same figures
        assert record.make(case, begun.recipients, outcome, runs.on_ledger(case, begun))["ledger"]["equal"]


def test_a_bank_that_was_not_founded_completely_is_founded_anew(tmp_path: Path) -> None:
    with closing(RunFolder.open(tmp_path, {"seed": 1})) as folder:
        folder.bank.mkdir()
        (folder.bank / "founding.json").write_text("{}")
        with pytest.raises(UnavailableError, match="is in use by this process"):
            RunFolder.open(tmp_path, {"seed": 1})
        assert folder.bank.exists()
    with closing(RunFolder.open(tmp_path, {"seed": 1})) as again:
        assert not again.is_founded
        assert not folder.bank.exists()
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("")
    with pytest.raises(UsageError, match="is not an empty folder"):
        RunFolder.open(other, {"seed": 1})


def test_a_run_is_not_continued_by_other_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = case_of()
    RunFolder.open(tmp_path, runs.facts(case)).close()
    RunFolder.open(tmp_path, runs.facts(case)).close()
    monkeypatch.setattr(predicting, "code_digest", lambda places: "0" * 64)
    with pytest.raises(UsageError, match=r"has a run that other code began: code [0-9a-f]{64}, now 0000") as caught:
        RunFolder.open(tmp_path, runs.facts(case))
    assert "the release that began it, or name a new folder" in str(caught.value.hint)
    earlier = json.loads((tmp_path / "run.json").read_text())
    earlier.pop("release")
    (tmp_path / "run.json").write_text(json.dumps(earlier))
    with pytest.raises(UsageError, match="other code began: release unknown, now"):
        RunFolder.open(tmp_path, runs.facts(case))


@pytest.mark.parametrize("content", ["[]", '["founded"]', "3", "{"])
def test_damaged_facts_of_a_run_are_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(IntegrityError, match="is damaged") as caught:
        RunFolder.open(tmp_path, {"seed": 1})
    assert caught.value.hint == "delete the folder, and run again"


def test_a_damaged_day_of_a_run_is_refused(tmp_path: Path) -> None:
    with closing(RunFolder.open(tmp_path, {"seed": 1})) as folder:
        folder.keep(Day(2, np.ones((50, 8), np.int64), np.ones(90, np.int64), {"paid": 3}))
        file = tmp_path / "run-day.npz"
        whole = file.read_bytes()
        kept = folder.day()
        assert kept is not None
        assert (kept.days, dict(kept.counts)) == (2, {"paid": 3})
        changed = whole[:300] + bytes(each ^ 255 for each in whole[300:400]) + whole[400:]
        buffer = io.BytesIO()
        np.save(buffer, np.ones(3))
        for content in (b"", whole[:20], whole[: len(whole) // 2], whole[:-10], changed, b"foreign", buffer.getvalue()):
            file.write_bytes(content)
            with pytest.raises(IntegrityError, match="is damaged") as caught:
                folder.day()
            assert caught.value.hint == "delete the folder, and run again"


def test_a_list_has_packets_of_two_classes(tmp_path: Path) -> None:
    packets = LUOHU.packets
    small = replace(packets[0], name="small", count=300, amount_minor=4_000)
    programme = replace(LUOHU, packets=(replace(packets[0], count=100), small))
    recipients = runs.choose(case_of(programme))
    again = runs.choose(case_of(programme))
    assert np.array_equal(recipients.person, again.person)
    assert [(share.first, share.minor) for share in recipients.shares()] == [(0, 20_000), (100, 4_000)]
    assert recipients.grants(2_000).sum() == recipients.minor.sum()


def test_days_without_an_operation_pass(founded: Path, tmp_path: Path) -> None:
    packets = (replace(LUOHU.packets[0], count=1),)
    case = case_of(replace(LUOHU, packets=packets), days=9)
    recipients, outcome, found = ran(case, founded, tmp_path)
    assert record.make(case, recipients, outcome, found)["ledger"]["equal"]
    assert found.payments < 7
    setting = replace(case.setting, design=replace(case.setting.design, population=5_000_000))
    with pytest.raises(UsageError, match="none of the packets is left"):
        runs.choose(replace(case, setting=setting))


def test_claims_and_payments_are_in_their_windows() -> None:
    programme = replace(LUOHU, claim=Window(LUOHU.claim.from_ns, LUOHU.claim.from_ns + HOUR // 4))
    first = hours.day_of(programme, 0)
    assert first.claims == (programme.claim.from_ns,)  # shorter than half an hour
    assert [(each - programme.claim.from_ns) // (HOUR // 2) for each in first.payments] == [
        1,
        3,
        5,
        7,
    ]  # 18:30 to 21:30
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
    with pytest.raises(UsageError, match="persons cannot share the budget") as caught:
        case_of(replace(EQUAL, budget_minor=50))
    assert caught.value.hint == "a larger budget, or fewer recipients"


def test_the_command_runs_and_compares(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    city, programme, out = tmp_path / "town", tmp_path / "programme.toml", tmp_path / "record.json"
    files.write(TOWN, city)
    shipped = (resources("sycee.data") / "pilots" / "luohu-2020.toml").read_text()
    programme.write_text(shipped.replace('zones = ["luohu"] # of the city file shenzhen\n', ""))
    arguments = ["sandbox", "run", str(programme), "--city", str(city)]
    page = tmp_path / "run.html"
    alone = str(tmp_path / "alone.json")
    assert cli.main([*arguments, "--page", str(page), "--out", alone, "--json"]) == 0
    engine = json.loads(capsys.readouterr().out)
    assert engine["ledger"] is None
    assert cli.main([*arguments, "--ledger", str(tmp_path / "ledger"), "--out", str(out)]) == 0
    shown = capsys.readouterr()
    assert "every purse and every shop is equal" in shown.out
    stored = json.loads(out.read_text())
    own = {"ledger", "arguments", "record"}
    assert {key: value for key, value in stored.items() if key not in own} == {
        key: value for key, value in engine.items() if key not in own
    }
    assert "what this run cannot say" in page.read_text()
    assert page.read_text().count("<svg") >= 10  # five plots for wide and for narrow screens
    assert len(page.read_bytes()) < 1_000_000
    capsys.readouterr()
    assert cli.main(["sandbox", "verify", alone, "--rerun"]) == 0
    assert "computed again: all values are equal" in capsys.readouterr().out
    assert cli.main(["sandbox", "verify", str(tmp_path / "ledger")]) == 0
    assert stored["ledger"]["equal"]
    assert json.loads((tmp_path / "ledger" / "record.json").read_text()) == stored
    assert cli.main(["verify", str(tmp_path / "ledger" / "bank"), "--authority"]) == 0
    assert cli.main([*arguments, "--ledger", str(tmp_path / "ledger"), "--seed", "2"]) == 2
    assert "repeat the command of that run to continue it" in capsys.readouterr().err
    assert cli.main([*arguments, "--ordinary"]) == 2
    assert "name a folder for --ledger" in capsys.readouterr().err
    prepare = runs.prepare
    monkeypatch.setattr(runs, "prepare", lambda *args, **named: stricter(prepare(*args, **named)))
    assert cli.main([*arguments, "--ledger", str(tmp_path / "other")]) == 3
    shown = capsys.readouterr()
    assert "ledger and engine differ" in shown.err
    assert "refused: " in shown.out
