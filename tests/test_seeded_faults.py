"""Seeded faults are caught. tools/seeded_faults.toml lists them, docs/internals/seeded-faults.md is made from it."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import seeded_faults  # noqa: E402

FAULTS = seeded_faults.read_faults()
FAULTS_MIN = 40
SAMPLE = random.Random(2020).sample(FAULTS, 2)  # the soak test plants all


def test_the_list_is_long_enough_and_each_can_be_planted() -> None:
    assert len(FAULTS) >= FAULTS_MIN
    for fault in FAULTS:
        assert fault.planted() != (ROOT / fault.file).read_text(encoding="utf-8"), fault.title
        file, _, name = fault.test.partition("::")
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{fault.test} is no test"


@pytest.mark.parametrize("fault", SAMPLE, ids=[str(fault.number) for fault in SAMPLE])
def test_a_sample_is_caught(fault: seeded_faults.Fault) -> None:
    assert seeded_faults.is_caught(fault), fault.title


def test_a_change_that_is_no_fault_is_missed() -> None:
    harmless = seeded_faults.Fault(0, "none", FAULTS[0].file, FAULTS[0].test, FAULTS[0].before, FAULTS[0].before)
    assert not seeded_faults.is_caught(harmless)


def test_an_entry_that_is_out_of_date_says_so(tmp_path: Path) -> None:
    stale = seeded_faults.Fault(0, "stale", FAULTS[0].file, FAULTS[0].test, "no such line\n", "another\n")
    with pytest.raises(ValueError, match=r"bring tools/seeded_faults\.toml up to date"):
        stale.planted()
    faults = tmp_path / "faults.toml"
    faults.write_text("[[b]]\ntitle = 'a'\ntest = 'c'\ndiff = ' unchanged'\n", encoding="utf-8")
    with pytest.raises(ValueError, match="the diff of fault 1 must change lines"):
        seeded_faults.read_faults(faults)


def test_the_page_is_made_from_the_list() -> None:
    assert seeded_faults.PAGE.read_text(encoding="utf-8") == seeded_faults.page(), "run tools/seeded_faults.py --page"


@pytest.mark.soak
def test_all_are_caught(capfd: pytest.CaptureFixture[str]) -> None:
    code = seeded_faults.main(["--jobs", "2"])
    with capfd.disabled():
        print(capfd.readouterr().out)
    assert code == 0
