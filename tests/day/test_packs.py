"""Packs that were changed, swapped, forged or left out are found on a machine without a database."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.bank import world
from tests.day import town

from sycee.archive.history_source import replay_folder
from sycee.core.errors import IntegrityError, UsageError
from sycee.core.keys import SigningKey
from sycee.core.records.day_packs import COUNTERSIGNER
from sycee.day import figures
from sycee.day.pack import Pack
from sycee.day.verify import figures_document, verify_packs

DAYS = (date(2026, 11, 2), date(2026, 11, 3), date(2026, 11, 4))
A, _, C, _ = town.WALLETS
KEYS = (town.CAROL.public, town.DAVE.public)


@cache
def closed() -> Path:
    """A folder with the bank whose three days are closed and countersigned."""
    folder = Path(tempfile.mkdtemp(prefix="sycee-packs-"))
    with town.bank(folder) as bank:
        for day in DAYS:
            town.pay(bank, A, C, 10)
            town.after(bank, day)
            bank.day.close(day, town.CAROL, witness=world.WITNESS)
            bank.day.countersign(day, town.DAVE)
    return folder / "bank"


def copies(folder: Path) -> list[Path]:
    """Copies of the packs, to be changed."""
    made = []
    for path in sorted((closed() / "packs").glob("*.json")):
        copy = folder / path.name
        copy.write_bytes(path.read_bytes())
        made.append(copy)
    return made


def changed(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_packs_are_checked_without_the_bank(tmp_path: Path) -> None:
    report = verify_packs(copies(tmp_path), ledger=closed(), keys=KEYS)
    assert report.packs == 3
    assert report.findings == ("the packs are of a rehearsal",)
    report = verify_packs(copies(tmp_path))
    assert "no key was given: the signers' keys were taken from the packs" in report.findings


def test_verification_imports_no_sql() -> None:
    script = (
        "import sys, sycee.day.verify\n"
        "print(sorted(name for name in sys.modules if name.split('.')[0] in ('sqlalchemy', 'alembic', 'sqlite3')))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _supply(document: dict[str, Any]) -> None:
    document["supply"] = "200001"


def _break(document: dict[str, Any]) -> None:
    document["breaks"].append({"number": 1})


def _head(document: dict[str, Any]) -> None:
    document["access_log"]["entry"] = "7"


def _day(document: dict[str, Any]) -> None:
    document["day"] = "2026-11-05"


def _swapped(document: dict[str, Any]) -> None:
    document["signatures"].reverse()
    first, second = document["signatures"]
    first["signature"], second["signature"] = second["signature"], first["signature"]


@pytest.mark.parametrize("change", [_supply, _break, _head, _day, _swapped])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_changed_pack_is_found(tmp_path: Path, change: Callable[[dict[str, Any]], None], at: int) -> None:
    paths = copies(tmp_path)
    changed(paths[at], change)
    with pytest.raises(IntegrityError, match="signature does not belong to its content"):
        verify_packs(paths)


def test_a_missing_pack_is_found(tmp_path: Path) -> None:
    first, _, third = copies(tmp_path)
    with pytest.raises(IntegrityError, match="it is pack 3, and the one before it is pack 1: a pack is missing"):
        verify_packs([first, third])


def test_the_same_pack_twice_is_found(tmp_path: Path) -> None:
    first, second, _ = copies(tmp_path)
    with pytest.raises(IntegrityError, match="a pack is there twice"):
        verify_packs([first, second, second])


def test_a_missing_end_is_told(tmp_path: Path) -> None:
    report = verify_packs(copies(tmp_path)[1:])
    assert "packs 1 to 1 were not given: the chain was checked from 2026-11-03" in report.findings


def test_one_person_cannot_sign_twice(tmp_path: Path) -> None:
    paths = copies(tmp_path)
    pack = Pack.load(paths[0])
    closer = pack.signatures[0]
    forged = Pack(pack.body, (closer,)).signed(COUNTERSIGNER, closer.person, town.CAROL)
    paths[0].write_text(forged.text())
    with pytest.raises(IntegrityError, match="one person signed it twice"):
        verify_packs(paths)
    again = Pack(pack.body, (closer,)).signed(COUNTERSIGNER, 77, town.CAROL)  # another id, the same key
    paths[0].write_text(again.text())
    with pytest.raises(IntegrityError, match="one person signed it twice"):
        verify_packs(paths)


def test_a_signature_by_an_unknown_key_is_found(tmp_path: Path) -> None:
    paths = copies(tmp_path)
    pack = Pack.load(paths[0])
    other = SigningKey.derive(b"other".ljust(32))
    paths[0].write_text(Pack(pack.body, (pack.signatures[0],)).signed(COUNTERSIGNER, 77, other).text())
    assert verify_packs(paths).packs == 3  # without keys nothing is wrong with it
    with pytest.raises(IntegrityError, match="none of the given keys"):
        verify_packs(paths, keys=KEYS)


def test_an_earlier_day_without_a_second_signature_is_found(tmp_path: Path) -> None:
    paths = copies(tmp_path)
    for path in (paths[0], paths[2]):
        pack = Pack.load(path)
        path.write_text(Pack(pack.body, pack.signatures[:1]).text())
    with pytest.raises(IntegrityError, match="the countersigner has not signed it"):
        verify_packs(paths)
    report = verify_packs(paths[1:])  # the newest may wait for it
    assert "the pack of 2026-11-04 has no second signature yet" in report.findings


def resigned(pack: Pack, body: dict[str, Any]) -> Pack:
    """Return a pack with another content that both persons signed."""
    made = Pack(body)
    for signature, key in zip(pack.signatures, (town.CAROL, town.DAVE), strict=True):
        made = made.signed(signature.duty, signature.person, key)
    return made


def test_a_pack_that_both_signed_anew_breaks_the_chain(tmp_path: Path) -> None:
    paths = copies(tmp_path)
    pack = Pack.load(paths[0])
    paths[0].write_text(resigned(pack, dict(pack.body) | {"quotas": {}}).text())
    assert verify_packs(paths[:1]).packs == 1
    with pytest.raises(IntegrityError, match="as the pack before it, and the pack of 2026-11-02 is"):
        verify_packs(paths)


def test_payments_that_a_pack_leaves_out_are_found(tmp_path: Path) -> None:
    """Both persons end a day a frame too early, with the right figures for that frame."""
    first, *_ = copies(tmp_path)
    pack = Pack.load(first)
    found = figures.compute(replay_folder(closed()), 156, after=0, frame=pack.frame - 1)
    first.write_text(resigned(pack, dict(pack.body) | figures_document(found)).text())
    with pytest.raises(IntegrityError, match="operations before the cut-off of 2026-11-02 follow frame"):
        verify_packs([first], ledger=closed(), keys=KEYS)


def test_a_rewritten_chain_differs_from_the_ledger(tmp_path: Path) -> None:
    """Both persons sign a false pack, and every later pack again: only the ledger shows it."""
    paths = copies(tmp_path)
    previous = ""
    for path in paths:
        pack = Pack.load(path)
        body = dict(pack.body) | {"previous": previous}
        body["positions"] = json.loads(json.dumps(body["positions"]))
        body["positions"]["2"]["received"] = "1"
        made = resigned(pack, body)
        path.write_text(made.text())
        previous = made.digest.hex()
    assert verify_packs(paths, keys=KEYS).packs == 3
    with pytest.raises(IntegrityError, match="the pack of 2026-11-02 differs from the ledger: its positions is"):
        verify_packs(paths, ledger=closed(), keys=KEYS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda document: document.pop("supply"), "supply is missing or unknown"),
        (lambda document: document.update(more=1), "more is missing or unknown"),
        (lambda document: document.update(supply="1.5"), "supply is no whole number in quotes"),
        (lambda document: document.update(number="1"), "number is of another type"),
        (lambda document: document.update(previous="ab"), "previous is not 64 hexadecimal digits"),
        (lambda document: document.update(day="Monday"), "is no pack of a day"),
        (lambda document: document["signatures"][0].update(duty="king"), "another duty than closer or countersigner"),
        (lambda document: document["signatures"][0].update(signature="00"), "a signature is not 128 hexadecimal"),
        (lambda document: document["checkpoint"].pop("epoch"), "is no checkpoint"),
        (lambda document: document["quotas"].update({"2": 0.5}), "float"),
    ],
)
def test_a_file_that_is_no_pack_is_refused(tmp_path: Path, change: Callable[[Any], None], message: str) -> None:
    paths = copies(tmp_path)
    changed(paths[0], change)
    with pytest.raises(UsageError, match=message):
        verify_packs(paths)
