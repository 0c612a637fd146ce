"""Verification of records: their own digest, those of code and inputs, and the result computed a second time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from sycee.core.errors import IntegrityError, UsageError
from sycee.core.input_files import read_bytes
from sycee.sandbox.city import files as city_files
from sycee.sandbox.experiments import comparing
from sycee.sandbox.inference import posterior, provenance
from sycee.sandbox.records import making, record
from sycee.sandbox.records.inputs import Bars, Inputs
from sycee.sandbox.records.record import Difference
from sycee.sandbox.validity import predicting

FILE_BYTES_MAX: Final = 1 << 30
PARQUET: Final = b"PAR1"
SUFFIXES: Final = (".json", posterior.SUFFIX)
# Keys that may differ in the same result: compared by themselves; times; a ledger, whose bank has keys of its own.
NOT_COMPARED: Final = frozenset({"release", "code", record.RECORD, "ledger.seconds", "ledger.digest"})
_TYPES: Final = {"release": str, "code": str, "arguments": dict, "inputs": list, record.RECORD: str}  # of keys
_INPUT_KEYS: Final = ("role", "name", "digest")

Arguments = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RecordKind:
    """A kind of record: its name, the code that computes it, and the function that computes it again."""

    name: str
    code: tuple[str, ...]  # folders and files of the package
    compute: Callable[[Arguments, Inputs, Bars], dict[str, Any]]


KINDS: Final[Mapping[str, RecordKind]] = MappingProxyType(
    {
        comparing.FORMAT: RecordKind("comparison", comparing.COMPARISON_CODE, making.comparison),
        provenance.FORMAT: RecordKind("posterior", making.FIT_CODE, lambda *given: making.fit(*given).record),
        predicting.FORMAT: RecordKind("prediction", predicting.CODE, making.prediction),
        making.RUN_FORMAT: RecordKind("run", making.RUN_CODE, making.run_again),
        making.SCORES_FORMAT: RecordKind(
            "scores", making.SCORES_CODE, lambda arguments, inputs, _: making.scores(arguments, inputs)[0]
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Check:
    """One digest as recorded and as found now; None if there is nothing to compute it from."""

    of: str
    recorded: str
    found: str | None

    @property
    def is_equal(self) -> bool | None:
        """Whether both are equal; None if nothing was found."""
        return None if self.found is None else self.found == self.recorded


@dataclass(frozen=True, slots=True)
class Checked:
    """The verification of one record. `differences`: of the result computed again, None if it was not."""

    path: Path
    kind: str
    release: str
    checks: tuple[Check, ...]
    differences: tuple[Difference, ...] | None

    @property
    def is_whole(self) -> bool:
        """Whether nothing differs. Other code is no difference if it computed an equal result."""
        counted = [each for each in self.checks if each.of != CODE or self.differences is None]
        return not self.differences and all(each.is_equal is not False for each in counted)

    @property
    def missing(self) -> tuple[str, ...]:
        """Inputs that were not found."""
        return tuple(each.of for each in self.checks if each.is_equal is None)


CODE: Final = "code"
_AGAIN: Final = "make the result again with this release"


def records_in(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return records and cities in a folder, each in the order of names. Raises UsageError if it has neither."""
    found = sorted(folder.iterdir())
    cities = [each for each in found if (each / city_files.MANIFEST).is_file()]
    paths = [each for each in found if each.suffix in SUFFIXES and each.is_file() and _is_record(each)]
    if not paths and not cities:
        raise UsageError(
            f"{folder} holds no record and no city",
            hint="name a file of `sycee sandbox`, a city, or a folder with some of them",
        )
    return paths, cities


def check(path: Path, folders: Sequence[Path], bars: Bars, *, rerun: bool = False) -> Checked:
    """Return the verification of the record in a file.

    folders: where to look for inputs, beside the record. rerun: compute the result a second time, if the record itself
    and all inputs are as recorded. Raises UsageError for a file without a record.
    """
    stored, columns = _read(path)
    kind = KINDS[stored["format"]]
    places = (*folders, path.parent)
    inputs = Inputs(places)
    checks = [
        Check("record", stored[record.RECORD], record.digest(stored)),
        Check(CODE, stored["code"], predicting.code_digest(kind.code)),
    ]
    if columns is not None:
        checks.append(Check("columns", str(stored.get("columns")), columns))
    checks += [
        Check(f"{each['role']} {each['name']}", each["digest"], inputs.digest(each["role"], each["name"]))
        for each in stored["inputs"]
    ]
    try:
        again = None
        if rerun and all(each.is_equal for each in checks if each.of != CODE):
            again = kind.compute(stored["arguments"], Inputs(places), bars)
    except (KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{path} has arguments that no command writes: {error}", hint=_AGAIN) from error
    found = None if again is None else tuple(record.differences(stored, again, NOT_COMPARED))
    return Checked(path, kind.name, stored["release"], tuple(checks), found)


def read(path: Path) -> dict[str, Any]:
    """Return the record in a file. Raises UsageError for a file without one, IntegrityError for a damaged one."""
    return _read(path)[0]


def _read(path: Path) -> tuple[dict[str, Any], str | None]:
    """Return the record in a file as `read`, and the digest of the columns of a posterior."""
    content = read_bytes(path, FILE_BYTES_MAX, "record")
    found, columns = _content(content, path)
    if found is None:
        raise UsageError(f"{path} is no record of a result", hint="a file that `sycee sandbox` wrote with --out")
    missing = [key for key in _TYPES if key not in found]
    if missing:
        raise UsageError(
            f"{path} has no {' and no '.join(missing)}: an earlier release wrote it, or it was cut", hint=_AGAIN
        )
    wrong = [key for key, kind in _TYPES.items() if not isinstance(found[key], kind)]
    if not wrong and not all(map(_is_input, found["inputs"])):
        wrong = ["inputs"]
    if wrong:
        raise IntegrityError(f"{path} has a value of {wrong[0]} that no command writes", hint=_AGAIN)
    if columns is None and found["format"] == provenance.FORMAT:
        raise UsageError(
            f"{path} has the record of a posterior without its columns", hint="the file that `sycee sandbox fit` wrote"
        )
    return found, columns


def _is_input(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(key), str) for key in _INPUT_KEYS)


def as_json(checked: Checked) -> dict[str, Any]:
    """Return the verification of a record as a JSON object."""
    return {
        "path": str(checked.path),
        "kind": checked.kind,
        "release": checked.release,
        "digests": [
            {"of": each.of, "recorded": each.recorded, "now": each.found, "equal": each.is_equal}
            for each in checked.checks
        ],
        "differences": None
        if checked.differences is None
        else [{"key": each.key, "recorded": each.recorded, "now": each.again} for each in checked.differences],
    }


def _content(content: bytes, path: Path) -> tuple[dict[str, Any] | None, str | None]:
    """Return the JSON object of a known format in the bytes of a file, None for another file.

    Of a posterior, whatever the name of its file is, also return the digest of its columns. Raises UsageError for a
    Parquet file that is no posterior, IntegrityError for a posterior with a damaged record.
    """
    found: Any = None
    columns = None
    try:
        if content.startswith(PARQUET):
            kept = posterior.parse(content, str(path))
            found, columns = dict(kept.record), posterior.columns_digest(kept)
        else:
            found = json.loads(content)
    except (ValueError, RecursionError):
        return None, None
    known = isinstance(found, dict) and isinstance(found.get("format"), str) and found["format"] in KINDS
    return (found, columns) if known else (None, None)


def _is_record(path: Path) -> bool:
    try:
        return _content(read_bytes(path, FILE_BYTES_MAX, "record"), path)[0] is not None
    except UsageError:
        return False
