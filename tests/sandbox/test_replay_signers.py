"""A replay is signed from the grant of its roles on, and its journal holds every signature that it needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sycee import verify
from sycee.core import ids
from sycee.core.errors import IntegrityError
from sycee.core.records import layout
from sycee.core.records.layout import Kind, Role
from sycee.issuance.central_bank import CentralBank
from sycee.journal.frame import Frame, FrameKind
from sycee.journal.journal import Journal
from sycee.programmes.definition import load
from sycee.sandbox import pilot
from sycee.sandbox.outcome import PilotOutcome
from sycee.sandbox.replay_signers import Authorities, check_signatures
from sycee.sequencer.embedded import Ledger
from sycee.sequencer.folders import journal_disk

LUOHU = load("luohu-2020")
SEED, SCALE = 11, 0.002
SEED_BYTES = f"{LUOHU.name}:{SEED}:{SCALE!r}".encode()
TIME_MS = LUOHU.draw.beacon_due_ns // 10**6
AUTHORITIES = Authorities.derive(LUOHU, SEED_BYTES, time_ms=TIME_MS)
BANK = CentralBank.derive(
    SEED_BYTES,
    currency=LUOHU.currency.numeric,
    zone=LUOHU.zone.key,
    operators=len(LUOHU.operators),
    time_ms=TIME_MS,
)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PilotOutcome]:
    folder = tmp_path_factory.mktemp("signed") / "data"
    return folder, pilot.run(LUOHU, folder, seed=SEED, scale=SCALE)


def frames(folder: Path) -> list[Frame]:
    journal = Journal.open(journal_disk(folder), read_only=True)
    found = list(journal.recover())
    journal.close()
    return found


def test_persons_and_keys_follow_from_the_seed_and_say_that_they_are_synthetic() -> None:
    again = Authorities.derive(LUOHU, SEED_BYTES, time_ms=TIME_MS)
    other = Authorities.derive(LUOHU, b"another", time_ms=TIME_MS)
    signers = (*AUTHORITIES.officers, *AUTHORITIES.operators)
    assert len(signers) == len(AUTHORITIES.titles) == 2 + len(LUOHU.operators) + 1
    assert len({signer.id for signer in signers}) == len({signer.key.public for signer in signers}) == len(signers)
    assert all(signer.key.synthetic for signer in signers)
    for mine, same, strange in zip(AUTHORITIES.officers, again.officers, other.officers, strict=True):
        assert (mine.id, mine.key.public) == (same.id, same.key.public)
        assert mine.id != strange.id
        assert mine.key.public != strange.key.public


def test_authority_is_on_before_anything_else_is_done(ended: tuple[Path, PilotOutcome]) -> None:
    folder, _ = ended
    kinds = [
        frame.records.reshape(-1).view(layout.OPERATION)["kind"].tolist()
        for frame in frames(folder)
        if frame.kind is FrameKind.OPERATIONS
    ]
    assert kinds[0] == [Kind.UPGRADE]
    assert set(kinds[1]) == {Kind.GRANT_ROLE}
    assert Kind.TRANSFER not in {*kinds[0], *kinds[1]}
    with Ledger.open(folder) as ledger, ledger.sequencer.reading() as state:
        assert state.authority_on
        roles = [grant.role for grant in state.grants.values()]
    assert (roles.count(Role.OFFICER), roles.count(Role.OPERATOR)) == (2, len(LUOHU.operators) + 1)


def test_every_frame_after_the_grants_is_signed(ended: tuple[Path, PilotOutcome]) -> None:
    folder, told = ended
    with_operations = [frame for frame in frames(folder) if frame.kind is FrameKind.OPERATIONS]
    assert [bool(frame.envelopes) for frame in with_operations] == [False, False] + [True] * (len(with_operations) - 2)
    assert sum(len(frame.envelopes) for frame in with_operations) == 104 * sum(row.signatures for row in told.signers)


def test_the_outcome_has_the_signatures_per_signer(ended: tuple[Path, PilotOutcome]) -> None:
    folder, told = ended
    assert [row.title for row in told.signers] == list(AUTHORITIES.titles)
    assert [row.role for row in told.signers] == ["officer"] * 2 + ["operator"] * (len(LUOHU.operators) + 1)
    assert told.signers[0].person == ids.format(AUTHORITIES.officers[0].id)
    # Opening, launch, the budget and its mint, and each operator's reserves and mint.
    assert told.signers[0].signatures == told.signers[1].signatures == 4 + 2 * len(LUOHU.operators)
    # Launch, mint, drop, expiry.
    assert told.signers[-1].signatures == 4
    assert all(row.signatures > 0 for row in told.signers)
    (mints,) = (row for row in told.comparisons if row.name == "mint_officers")
    assert (mints.ledger, mints.expected) == (2, None)
    total = sum(row.signatures for row in told.signers)
    assert f"{total:,} signatures are valid, from {len(told.signers)} signers" in "\n".join(
        verify(folder, authority=True).proved
    )


def test_another_run_signs_the_same(ended: tuple[Path, PilotOutcome], tmp_path: Path) -> None:
    _, told = ended
    again = pilot.run(LUOHU, tmp_path / "data", seed=SEED, scale=SCALE)
    assert (again.digest, again.signers) == (told.digest, told.signers)


def test_a_continued_run_adds_no_signatures(ended: tuple[Path, PilotOutcome]) -> None:
    folder, told = ended
    again = pilot.run(LUOHU, folder, seed=SEED, scale=SCALE)
    assert again.signers == told.signers


def test_another_state_than_the_one_in_memory_is_found(ended: tuple[Path, PilotOutcome]) -> None:
    folder, _ = ended
    with pytest.raises(IntegrityError, match="a replay of the journal gives another state"):
        check_signatures(folder, BANK, AUTHORITIES, bytes(32))


def test_an_unsigned_mint_is_found(tmp_path: Path) -> None:
    # A ledger without authorities accepts an unsigned mint; the count shows it.
    with Ledger.open(tmp_path) as ledger:
        records = BANK.opening(ids.derive(b"", "opening", BANK.opening_records, time_ms=0))
        assert not np.any(ledger.submit(records)["code"])
        ledger.transfer(BANK.issuance, BANK.treasury.money, 5)
        digest = ledger.digest()
        found = check_signatures(tmp_path, BANK, AUTHORITIES, digest)
    assert (found.mint_officers, found.by_signer.total()) == (0, 0)
    assert {row.signatures for row in found.rows(AUTHORITIES)} == {0}
