from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sycee.core.errors import IntegrityError, UnavailableError, UsageError
from sycee.sandbox.city import files
from sycee.sandbox.city.model import Comparison, tiny_town


def test_a_city_is_read_as_it_was_written(tmp_path: Path) -> None:
    row = Comparison("zones", "zone-0", 80, 81, "persons", "a page", "1")
    town = replace(tiny_town(), comparisons=(row,))
    town.check()
    digest = files.write(town, tmp_path / "town")
    read = files.read(tmp_path / "town")
    assert (read.digest(), read.comparisons, read.sectors) == (digest, town.comparisons, town.sectors)
    assert json.loads((tmp_path / "town" / files.MANIFEST).read_text())["comparisons"][0]["error_ppm"] == 12_500
    for (table, name, written), (_, _, found) in zip(town.columns(), read.columns(), strict=True):
        assert np.array_equal(written, found), (table, name)


def test_the_tiny_town_is_the_same_on_every_call() -> None:
    assert tiny_town().digest() == tiny_town().digest() != tiny_town(241).digest()


def test_a_changed_column_is_an_error_of_integrity(tmp_path: Path) -> None:
    files.write(tiny_town(), tmp_path)
    other = tiny_town()
    other.persons.age[3] += 1
    (tmp_path / "other").mkdir()
    files.write(other, tmp_path / "other")
    (tmp_path / "other" / files.PERSONS).replace(tmp_path / files.PERSONS)
    with pytest.raises(IntegrityError, match="has the digest"):
        files.read(tmp_path)


def test_a_damaged_file_is_an_error_of_integrity(tmp_path: Path) -> None:
    files.write(tiny_town(), tmp_path)
    (tmp_path / files.MERCHANTS).write_bytes(b"PAR1")
    with pytest.raises(IntegrityError, match=r"merchants\.parquet cannot be read"):
        files.read(tmp_path)


def test_a_folder_without_a_manifest_is_no_city(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no city"):
        files.read(tmp_path)


def test_a_folder_with_other_files_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("work of years")
    with pytest.raises(UsageError, match=r"holds other files: thesis\.txt"):
        files.write(tiny_town(), tmp_path)


def test_a_failed_write_leaves_the_earlier_city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = files.write(tiny_town(), tmp_path)
    (tmp_path / f".{files.PERSONS}").write_bytes(b"left by a process that was killed")

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "fsync", fail)
        with pytest.raises(UnavailableError, match="No space left on device"):
            files.write(tiny_town(300), tmp_path)
    assert files.read(tmp_path).digest() == digest
    assert files.write(tiny_town(300), tmp_path) != digest
