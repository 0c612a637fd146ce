"""The founding of a bank: what the first frame holds, and that an interrupted founding continues."""

from __future__ import annotations

import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from tests.bank import world
from tests.bank.killing import Steps, sampled
from tests.processes import PROCESSES

from sycee.bank.bank import Bank
from sycee.bank.founding import Founding
from sycee.bank.rehearsal_clock import RehearsalClock
from sycee.core.errors import IntegrityError, UnavailableError, UsageError
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind
from sycee.core.result_codes import Result
from sycee.identity.duties import Duty
from sycee.issuance.central_bank import MINTING_RULE_SET
from sycee.sequencer.embedded import Signer
from sycee.wallets import tiers


def test_the_first_frame(server: str, tmp_path: Path) -> None:
    with world.bank(server, tmp_path) as bank:
        assert bank.check() == []
        assert bank.findings == []
        assert bank.stores.ledger.authority_on
        record = world.record(bank)
        accounts = record.accounts()
        ledger = bank.stores.ledger
        assert {name: ledger.account(id).kind for name, id in accounts.items()} == {
            "issuance": AccountKind.ISSUANCE,
            "suspense": AccountKind.SUSPENSE,
            "reserve-issuance": AccountKind.ISSUANCE,
            "reserve-suspense": AccountKind.SUSPENSE,
            "converted": AccountKind.RESERVE,
        }
        assert {ledger.account(id).operator for id in accounts.values()} == {1}
        assert ledger.account(accounts["issuance"]).rule_set == MINTING_RULE_SET
        held = {(each.duty, each.operator) for each in bank.people.holders()}
        assert held == {(Duty.OFFICER, None), (Duty.OPERATOR, 0), (Duty.OPERATOR, 1), (Duty.WITNESS, None)}
        assert len(bank.people.holders()) == 5
        with ledger.sequencer.reading() as state:
            assert {MINTING_RULE_SET, *range(1, len(tiers.load("ecny-2021").tiers) + 2)} <= set(state.rule_sets)


def test_the_technical_key_alone_moves_nothing(tmp_path: Path) -> None:
    with world.bank("", tmp_path) as bank:
        record = world.record(bank)
        accounts = record.accounts()
        person = next(each.person for each in record.persons() if each.operator == 0)
        signed = bank.stores.ledger.signed_by(Signer(person, world.technical(bank)))
        for debit, credit in (("issuance", "suspense"), ("converted", "reserve-suspense"), ("suspense", "issuance")):
            transfer = operations.transfer(
                bank.stores.ledger.new_id(), debit=accounts[debit], credit=accounts[credit], amount=1
            )
            assert signed.submit(transfer)["code"].tolist() == [Result.NOT_AUTHORISED]


def test_founding_again_opens_the_same_bank(tmp_path: Path) -> None:
    founding = world.founding(tmp_path)
    with Bank.create(tmp_path / "bank", founding) as bank:
        ledger_id, digest = bank.stores.ledger.ledger_id, bank.stores.ledger.digest()
    with Bank.create(tmp_path / "bank", founding) as bank:
        assert (bank.stores.ledger.ledger_id, bank.stores.ledger.digest()) == (ledger_id, digest)
    with pytest.raises(UsageError, match="was founded with another currency"):
        Bank.create(tmp_path / "bank", replace(founding, currency="EUR"))
    with pytest.raises(UsageError, match="was founded with another end of duties"):
        Bank.create(tmp_path / "bank", replace(founding, until_ns=2**60 * 2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"officers": (world.ANN.public,)}, "1 officer was named"),
        ({"desk": world.ANN.public}, "one key was named twice"),
        ({"currency": "XYZ"}, "XYZ"),
        ({"zone": "Asia/Nowhere"}, "time zone"),
        ({"preset": "none"}, "there is no preset"),
        ({"settings": {"cutof": "1"}}, "there is no setting cutof"),
    ],
)
def test_a_wrong_founding_creates_nothing(tmp_path: Path, change: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Bank.create(tmp_path / "bank", replace(world.founding(tmp_path), **change))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_in_use_for_something_else(tmp_path: Path) -> None:
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank" / "letter.txt").write_text("Dear")
    with pytest.raises(UsageError, match="is not an empty folder"):
        Bank.create(tmp_path / "bank", world.founding(tmp_path))


def test_a_changed_founding_is_found(tmp_path: Path) -> None:
    with world.bank("", tmp_path) as bank:
        file = bank.folder.founding
        file.write_text(file.read_text().replace("sycee.founding.v1", "sycee.founding.v9"))
        with pytest.raises(IntegrityError, match=r"sycee\.founding\.v9"):
            world.record(bank)
        file.write_text("[]")
        with pytest.raises(IntegrityError, match="is not the founding of a bank"):
            world.record(bank)


def test_two_processes_never_have_one_bank(tmp_path: Path) -> None:
    with world.bank("", tmp_path), pytest.raises(UnavailableError, match="in use"):
        Bank.open(tmp_path / "bank")


# --- kills ---


def found(folder: Path, founding: Founding, kill_at: int) -> None:
    steps = Steps(kill_at)
    steps.watch()
    Bank.create(folder / "bank", founding).close()
    (folder / "steps").write_text(str(steps.count))


def found_in_a_process(folder: Path, founding: Founding, kill_at: int) -> int | None:
    process = PROCESSES.Process(target=found, args=(folder, founding, kill_at))
    process.start()
    process.join(timeout=120)
    return process.exitcode


def killed_foundings(where: str, tmp_path: Path, *, every: bool) -> None:
    settings = {"database": where} if "://" in where else {}
    (tmp_path / "counted").mkdir()
    assert found_in_a_process(tmp_path / "counted", world.founding(tmp_path / "counted"), 0) == 0
    count = int((tmp_path / "counted" / "steps").read_text())
    assert count >= 12
    for number in range(1, count + 1) if every else sampled(count, "://" in where):
        folder = tmp_path / f"killed-{number}"
        folder.mkdir()
        if settings:
            settings = {"database": world.copied_database(where)}
        founding = world.founding(folder, settings)
        assert found_in_a_process(folder, founding, number) == -signal.SIGKILL
        with Bank.create(folder / "bank", founding) as bank:
            assert bank.check() == []
            assert len(bank.people.holders()) == 5
            assert bank.stores.ledger.authority_on
        with Bank.open(folder / "bank") as bank:
            assert bank.findings == []
        shutil.rmtree(folder)


def test_a_killed_founding_continues(where: str, tmp_path: Path) -> None:
    killed_foundings(where, tmp_path, every=False)


@pytest.mark.soak
def test_a_founding_killed_at_every_boundary(where: str, tmp_path: Path) -> None:
    killed_foundings(where, tmp_path, every=True)


# --- the clock of a rehearsal ---


def test_a_rehearsal_has_its_own_clock(tmp_path: Path) -> None:
    with world.bank("", tmp_path) as bank:
        assert bank.is_rehearsal
        assert bank.stores.clock.now_ns() == world.START_NS
        bank.set_clock(world.START_NS + world.DAY_NS)
        with pytest.raises(UsageError, match="moves forward only"):
            bank.set_clock(world.START_NS)
        with pytest.raises(UsageError, match="at most ten years"):
            bank.set_clock(world.START_NS + 3_670 * world.DAY_NS)
    with Bank.open(tmp_path / "bank") as bank:
        assert bank.stores.clock.now_ns() == world.START_NS + world.DAY_NS
    (tmp_path / "bank" / "clock").write_text("soon\n")
    with pytest.raises(IntegrityError, match="contains no time"):
        Bank.open(tmp_path / "bank")


def test_the_clock_of_a_real_bank_is_not_set(tmp_path: Path) -> None:
    founding = replace(world.founding(tmp_path), rehearsal_from_ns=None)
    with Bank.create(tmp_path / "bank", founding) as bank:
        assert not bank.is_rehearsal
        with pytest.raises(UsageError, match="is no rehearsal"):
            bank.set_clock(world.START_NS)


def test_a_clock_is_created_once(tmp_path: Path) -> None:
    assert RehearsalClock.create(tmp_path / "clock", 5).now_ns() == 5
    assert RehearsalClock.create(tmp_path / "clock", 9).now_ns() == 5


def test_the_end_of_the_last_officers_is_announced(tmp_path: Path) -> None:
    founding = replace(world.founding(tmp_path), until_ns=world.START_NS + 91 * world.DAY_NS)
    with Bank.create(tmp_path / "bank", founding) as bank:
        assert bank.findings == []
        bank.set_clock(world.START_NS + 2 * world.DAY_NS)
    with Bank.open(tmp_path / "bank") as bank:
        assert bank.findings == [
            "in 89 days fewer than two officers are left, and then nothing can be signed: appoint officers now"
        ]


def test_a_clock_that_passes_in_memory_is_the_stored_one_after_a_kill(tmp_path: Path) -> None:
    clock = RehearsalClock.create(tmp_path / "clock", 5)
    clock.pass_to(9)
    assert clock.now_ns() == 9
    assert RehearsalClock(tmp_path / "clock").now_ns() == 5
    with pytest.raises(UsageError, match="moves forward only"):
        clock.pass_to(8)
    clock.set(9)
    assert RehearsalClock(tmp_path / "clock").now_ns() == 9


def test_a_preset_of_ones_own_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sycee import data

    (tmp_path / "own.toml").write_bytes(data.content("presets", "ecny-2021"))
    monkeypatch.chdir(tmp_path)
    founding = replace(world.founding(Path()), preset="./own.toml")
    with Bank.create("bank", founding) as bank:
        classes = bank.wallet_classes()
    monkeypatch.chdir("/")
    with Bank.open(tmp_path / "bank") as bank:
        assert bank.wallet_classes() == classes == {tier.name: at for at, tier in enumerate(bank.preset.tiers, 1)}
        assert bank.config.definition("preset") == tmp_path / "own.toml"
