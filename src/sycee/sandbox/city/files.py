"""Folder of a city: persons.parquet, merchants.parquet, zones.parquet and manifest.json.

The manifest is written last, so a folder without one is not a city. `read` computes the digest of the columns again and
compares it with the manifest.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

import sycee
from sycee.core.errors import IntegrityError, UnavailableError, UsageError
from sycee.core.extras import extra
from sycee.core.input_files import read_bytes
from sycee.core.output_files import sync_folder, write_file
from sycee.sandbox.city.model import (
    MERCHANT_COLUMNS,
    PERSON_COLUMNS,
    ZONE_COLUMNS,
    City,
    Comparison,
    Merchants,
    Persons,
    Sector,
    Zones,
)

with extra("research"):
    import pyarrow as pa
    import pyarrow.parquet as pq

MANIFEST: Final = "manifest.json"
FORMAT: Final = "sycee.city.v1"
PERSONS: Final = "persons.parquet"
MERCHANTS: Final = "merchants.parquet"
ZONES: Final = "zones.parquet"
FILES: Final = (PERSONS, MERCHANTS, ZONES)
PAGE: Final = "city.html"

_MANIFEST_BYTES_MAX: Final = 64 << 20
_ROW_GROUP_ROWS: Final = 1 << 20
_AGAIN: Final = "build the city again: sycee sandbox city CITY.toml --out DIR"


def require_place(folder: Path) -> None:
    """Raise UsageError if `folder` holds files that are not of a city."""
    if folder.is_dir():
        # A name with a dot before it is a temporary file of a process that was killed.
        ours = (*FILES, MANIFEST, PAGE)
        other = sorted(path.name for path in folder.iterdir() if not path.name.removeprefix(".").startswith(ours))
        if other:
            raise UsageError(f"{folder} holds other files: {other[0]}", hint="name an empty or new folder with --out")
    elif folder.exists():
        raise UsageError(f"{folder} is a file", hint="name an empty or new folder with --out")


def write(city: City, folder: Path) -> str:
    """Write a city to a folder, which is created if absent, and return its digest.

    A city that the folder held before is replaced once all columns are on the disk. Raises UsageError as
    `require_place`, UnavailableError if the disk refuses.
    """
    require_place(folder)
    persons, merchants, zones = city.persons, city.merchants, city.zones
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_tables(
            folder,
            {
                PERSONS: {name: getattr(persons, name) for name in PERSON_COLUMNS},
                MERCHANTS: {name: getattr(merchants, name) for name in MERCHANT_COLUMNS},
                ZONES: {"name": list(zones.name)} | {name: getattr(zones, name) for name in ZONE_COLUMNS},
            },
        )
    except OSError as error:
        raise UnavailableError(
            f"{folder} cannot be written: {error.strerror or error}", hint="name a folder elsewhere with --out"
        ) from error
    digest = city.digest()
    write_file(folder / MANIFEST, (json.dumps(manifest(city, digest), indent=1, ensure_ascii=False) + "\n").encode())
    return digest


def manifest(city: City, digest: str) -> dict[str, Any]:
    """Return the manifest of a city as values of JSON."""
    return {
        "format": FORMAT,
        "name": city.name,
        "title": city.title,
        "currency": city.currency,
        "seed": city.seed,
        "one_in": city.one_in,
        "consumption_ppm": city.consumption_ppm,
        "digest": digest,
        "file_digest": city.file_digest,
        "release": sycee.__version__,
        "persons": len(city.persons),
        "households": int(city.persons.household[-1]) + 1 if len(city.persons) else 0,
        "merchants": len(city.merchants),
        "zones": len(city.zones),
        "sectors": [asdict(each) for each in city.sectors],
        "comparisons": [asdict(each) | {"error_ppm": each.error_ppm} for each in city.comparisons],
    }


def read(folder: Path) -> City:
    """Read the city in a folder.

    Raises UsageError if the folder has no manifest, IntegrityError if a file is damaged or differs from the manifest's
    digest.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise UsageError(f"{folder} holds no city: it has no {MANIFEST}", hint=_AGAIN)
    try:
        values = json.loads(read_bytes(path, _MANIFEST_BYTES_MAX, "manifest"))
        if values["format"] != FORMAT:
            raise UsageError(
                f"{path} has the format {values['format']!r}, and this release reads {FORMAT!r}", hint=_AGAIN
            )
        zones = _read_table(folder / ZONES, ZONE_COLUMNS, texts=("name",))
        city = City(
            name=values["name"],
            title=values["title"],
            currency=values["currency"],
            seed=values["seed"],
            one_in=values["one_in"],
            consumption_ppm=values["consumption_ppm"],
            file_digest=values["file_digest"],
            sectors=tuple(Sector(**each) for each in values["sectors"]),
            persons=Persons(**_read_table(folder / PERSONS, PERSON_COLUMNS)),
            merchants=Merchants(**_read_table(folder / MERCHANTS, MERCHANT_COLUMNS)),
            zones=Zones(**zones),
            comparisons=tuple(
                Comparison(**{key: value for key, value in each.items() if key != "error_ppm"})
                for each in values["comparisons"]
            ),
        )
        digest = values["digest"]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise IntegrityError(f"{path} is not the manifest of a city: {error}", hint=_AGAIN) from error
    found = city.digest()
    if found != digest:
        raise IntegrityError(f"{folder} has the digest {found}, but its manifest says {digest}", hint=_AGAIN)
    city.check()
    return city


def _write_tables(folder: Path, tables: dict[str, dict[str, Any]]) -> None:
    """Write Parquet files under temporary names, make them durable, remove the manifest and rename them."""
    temporary = {folder / name: folder / f".{name}" for name in tables}
    try:
        for hidden, columns in zip(temporary.values(), tables.values(), strict=True):
            with hidden.open("wb") as file:
                pq.write_table(
                    pa.table(columns),
                    file,
                    compression="zstd",
                    compression_level=1,
                    row_group_size=_ROW_GROUP_ROWS,
                    write_page_checksum=True,
                )
                file.flush()
                os.fsync(file.fileno())
        (folder / MANIFEST).unlink(missing_ok=True)
        for path, hidden in temporary.items():
            hidden.replace(path)
        sync_folder(folder)
    except BaseException:
        for hidden in temporary.values():
            hidden.unlink(missing_ok=True)
        raise


def _read_table(path: Path, types: Any, *, texts: tuple[str, ...] = ()) -> dict[str, Any]:
    try:
        table = pq.read_table(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise IntegrityError(f"{path} cannot be read: {str(error).splitlines()[0]}", hint=_AGAIN) from error
    missing = [name for name in (*texts, *types) if name not in table.column_names]
    if missing:
        raise IntegrityError(f"{path} has no column {missing[0]!r}", hint=_AGAIN)
    columns: dict[str, Any] = {name: tuple(table.column(name).to_pylist()) for name in texts}
    for name, wanted in types.items():
        column = table.column(name).to_numpy()
        if column.dtype != np.dtype(wanted):
            raise IntegrityError(f"{path} has the type {column.dtype} in {name}, not {np.dtype(wanted)}", hint=_AGAIN)
        columns[name] = column
    return columns
