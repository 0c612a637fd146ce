"""Keys that change while payments wait: each payment needs the key that applies in its frame."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from tests.sequencer.small import ANN, LEDGER_ID, SHOP
from tests.sequencer.test_envelopes import ANNS_KEY, LATER_NS, OPERATOR, TAKEN, Town, by, by_ann, opening

from sycee.core.arrays import Array
from sycee.core.clock import SimulatedClock
from sycee.core.errors import IntegrityError
from sycee.core.keys import SigningKey
from sycee.core.records import layout, operations
from sycee.core.records.envelopes import Envelope, decode, sign
from sycee.core.records.layout import Kind
from sycee.core.result_codes import Result
from sycee.journal import Journal
from sycee.sequencer import verify as verify_module
from sycee.sequencer.embedded import Ledger
from sycee.sequencer.folders import journal_disk
from sycee.sequencer.verify import verify
from sycee.testing.disk import FakeDisk

DIFFERS = Result.KEY_EPOCH_DIFFERS
NEW_KEYS = [SigningKey.derive(bytes([number]) * 32, "p256") for number in range(100, 112)]
PAYERS = 3
PAYS_MIN = 40  # under each key


def set_key(id: int, key: SigningKey) -> Array:
    return operations.set_key(id, account=ANN, key=key.public.key, flags=key.public.flags)


def pay(id: int) -> Array:
    return operations.pay(id, payer=ANN, payee=SHOP, amount=1)


def signed(record: Array, key: SigningKey, epoch: int) -> Envelope:
    return sign(record, LEDGER_ID, ANN, key, LATER_NS, currency=156, key_epoch=epoch)


def test_an_envelope_of_another_epoch_is_refused_and_never_journaled() -> None:
    town = Town()
    assert town.submit(pay(600), by_ann(pay(600))) == [TAKEN]
    renewal = set_key(601, NEW_KEYS[0])
    assert town.submit(renewal, by(OPERATOR, renewal)) == [TAKEN]
    before = town.frames()
    record = pay(602)
    assert town.submit(record, by_ann(record)) == [DIFFERS]  # of the previous epoch
    assert town.submit(record, by_ann(record, epoch=2)) == [Result.SIGNATURE_INVALID]  # its old key
    assert town.submit(record, signed(record, NEW_KEYS[0], 1)) == [DIFFERS]
    assert town.submit(record, signed(record, NEW_KEYS[0], 3)) == [DIFFERS]  # of a later epoch
    assert town.frames() == before
    # The same key again begins a new epoch as well: earlier signatures are no longer valid.
    again = set_key(603, NEW_KEYS[0])
    early = signed(record, NEW_KEYS[0], 2)
    assert town.submit(again, by(OPERATOR, again)) == [TAKEN]
    assert town.submit(record, early) == [DIFFERS]
    assert town.submit(record, signed(record, NEW_KEYS[0], 3)) == [TAKEN]


@pytest.mark.parametrize(("epoch", "key"), [(1, ANNS_KEY), (3, NEW_KEYS[0]), (0, NEW_KEYS[0])])
def test_verify_names_an_envelope_of_another_epoch(
    epoch: int, key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The envelope was written to the journal without the sequencer. Its signature is valid, but for another epoch."""
    town = Town()
    renewal = set_key(601, NEW_KEYS[0])
    assert town.submit(renewal, by(OPERATOR, renewal)) == [TAKEN]
    with pytest.MonkeyPatch.context() as careless:
        careless.setattr("sycee.ledger.authority.authorise", lambda *a, **_: np.zeros(a[3].size, np.uint16))
        assert town.submit(pay(700), signed(pay(700), key, epoch)) == [TAKEN]
    frame = town.frames()
    monkeypatch.setattr(verify_module, "existing_journal_disk", lambda _: town.disk.kill())
    monkeypatch.setattr(verify_module, "snapshot_disk", lambda _: FakeDisk(folder="fake/snapshots"))
    verify("ledger")  # without authority=True signatures are not verified
    with pytest.raises(IntegrityError, match=rf"frame {frame}, .*: KEY_EPOCH_DIFFERS"):
        verify("ledger", authority=True)


class Race:
    """Threads that pay with the last key they read, while another thread changes the account's key again and again."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.current = (ANNS_KEY, 1)
        self.taken: list[list[int]] = []  # ids of CREATED payments by epoch
        self.codes: set[Result] = set()
        self._late = threading.Event()  # a payment was signed with a key that was replaced in the meantime
        self._ids = iter(range(10_000, 10**6))
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def run(self) -> None:
        threads = [threading.Thread(target=self._pay) for _ in range(PAYERS)]
        for thread in threads:
            thread.start()
        try:
            for number, key in enumerate(NEW_KEYS):
                self._wait_for_pays()
                record = set_key(5_000 + number, key)
                answers = self.ledger.submit(record, [by(OPERATOR, record)])
                assert answers["code"].tolist() == [TAKEN]
                # The payers read the new key only after one of them was refused with the old one.
                self._late.clear()
                assert self._late.wait(60), "a payment under the old key was taken"
                self.current = (key, number + 2)
            self._wait_for_pays()
        finally:
            self._ended.set()
            for thread in threads:
                thread.join(60)

    def _wait_for_pays(self) -> None:
        enough = threading.Event()
        with self._lock:
            self.taken.append([])
            self._enough = enough
        assert enough.wait(60), "no payment went through"

    def _pay(self) -> None:
        while not self._ended.is_set():
            with self._lock:
                id = next(self._ids)
            key, epoch = self.current
            record = pay(id)
            result = Result(int(self.ledger.submit(record, [signed(record, key, epoch)])["code"][0]))
            with self._lock:
                self.codes.add(result)
                if result is DIFFERS:
                    self._late.set()
                if result is TAKEN and self.taken:
                    self.taken[-1].append(id)
                    if len(self.taken[-1]) >= PAYS_MIN:
                        self._enough.set()


def test_a_key_that_changes_while_payments_race_it(tmp_path: Path) -> None:
    """Every payment that was CREATED is in a frame in which its key applied."""
    Journal.create(journal_disk(tmp_path), ledger_id=LEDGER_ID).close()
    with Ledger.open(tmp_path, clock=SimulatedClock(LATER_NS - 10**12)) as ledger:
        ledger.submit(opening())
        money = operations.transfer(900, debit=3, credit=ANN, amount=500_000)
        assert ledger.submit(money, [by(OPERATOR, money)])["code"].tolist() == [TAKEN]
        race = Race(ledger)
        race.run()
        assert ledger.account(ANN).key_epoch == len(NEW_KEYS) + 1
        results = {id: ledger.result_of(id) for pays in race.taken for id in pays}
    assert race.codes == {TAKEN, DIFFERS}
    epoch_of_key = {key.public.key: number for number, key in enumerate([ANNS_KEY, *NEW_KEYS], 1)}
    epoch, seen = 0, set[int]()
    for frame in Journal.open(journal_disk(tmp_path), read_only=True).recover():
        records = np.frombuffer(frame.records.tobytes(), layout.OPERATION)
        envelopes = decode(frame.envelopes)
        for envelope in envelopes[envelopes["currency"] != 0]:  # signed by an account
            covered = records[int(envelope["first"]) : int(envelope["first"]) + int(envelope["count"])]
            assert (covered["kind"] == Kind.PAY).all()
            assert int(envelope["key_epoch"]) == epoch, f"frame {frame.sequence}"
            seen |= set(covered["id_low"].tolist())
        epoch += int(np.count_nonzero(records["kind"] == Kind.SET_KEY))
    assert epoch == len(epoch_of_key)
    assert seen >= set(results), "a payment that was CREATED is not in the journal with its signature"
    assert all(found is not None and found.result is TAKEN for found in results.values())
    verified = verify(tmp_path, authority=True)
    assert any(" by accounts" in sentence for sentence in verified.proved)
