"""Input files of a result: found by the names that a command or a record has, and digested as they are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from blake3 import blake3

from sycee import data
from sycee.core.input_files import read_bytes
from sycee.sandbox.behaviour import parameters as behaviour
from sycee.sandbox.city import definition as city_files
from sycee.sandbox.city import files
from sycee.sandbox.city.build import build
from sycee.sandbox.city.model import City
from sycee.sandbox.inference import posterior as posteriors
from sycee.sandbox.pilots import description, published

PROGRAMME: Final = "programme"
VARIANT: Final = "variant"
GRID: Final = "grid"
CITY: Final = "city"
POSTERIOR: Final = "posterior"
BEHAVIOUR: Final = "behaviour"
PILOT: Final = "pilot"
RESULTS: Final = "results"
PREDICTION: Final = "prediction"
CITY_SEED: Final = 2020  # of a shipped city that is built for a run

_SHIPPED: Final = {
    PROGRAMME: "pilots",
    PILOT: description.FOLDER,
    RESULTS: published.FOLDER,
    BEHAVIOUR: behaviour.FOLDER,
    CITY: city_files.FOLDER,
    POSTERIOR: posteriors.FOLDER,
}
_SUFFIXES: Final = {POSTERIOR: posteriors.SUFFIX}  # of shipped definitions; .toml of all others
TOML: Final = ".toml"
_BYTES_MAX: Final = 1 << 30

Progress = Callable[[int, int], None]  # (done, total)
Bars = Callable[[str, str], AbstractContextManager[Progress]]  # (title, unit)


class Inputs:
    """Finds the files of a result and notes their digests in `read`.

    folders: where to look for a file that is not at the path by which it was named.
    """

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self._folders = folders
        self.read: list[dict[str, str]] = []

    def source(self, role: str, name: str) -> Path | str:
        """Return where a file is, a shipped definition by its name, and note its digest.

        A file that does not exist is returned as it was named, without a digest: its reader raises the error.
        """
        place = self.place(role, name)
        if place is None:
            return name
        self.read.append({"role": role, "name": name, "digest": _digest(role, place)})
        return place

    def path(self, role: str, name: str) -> Path:
        """Return `source` for a role that has no shipped definitions."""
        return Path(self.source(role, name))

    def city(self, name: str, people: int, bars: Bars) -> City:
        """Return the city in a folder, or a shipped one built with at least this number of persons if it has them.

        Its digest is that of all columns; of a shipped city that of its file.
        """
        place = self.place(CITY, name)
        if isinstance(place, Path) and place.is_dir():
            return self.city_in(name)
        file = city_files.load(self.source(CITY, name))
        with bars(f"building {file.name}", "persons") as report:
            return build(file, seed=CITY_SEED, one_in=max(file.population.count // people, 1), progress=report)

    def city_in(self, name: str) -> City:
        """Return the city in a folder, and note the digest of all its columns."""
        place = self.place(CITY, name)
        city = files.read(place if isinstance(place, Path) else Path(name))
        self.read.append({"role": CITY, "name": name, "digest": city.digest()})
        return city

    def digest(self, role: str, name: str) -> str | None:
        """Return the digest of the file's present content, None if there is no file."""
        place = self.place(role, name)
        return None if place is None else _digest(role, place)

    def place(self, role: str, name: str) -> Path | str | None:
        """Return where a file is, None if it is nowhere: shipped by its name; at its path; or in one of the folders,
        by its path or the last part of it.
        """
        path = Path(name)
        places = (path, *(folder / part for folder in self._folders for part in (path, path.name)))
        if role == CITY:
            found = next((each for each in places if each.is_dir()), None)
            if found is not None:
                return found
        if role in _SHIPPED and name in data.names(_SHIPPED[role], _SUFFIXES.get(role, TOML)):
            return name
        return next((each for each in places if each.is_file()), None)


def _digest(role: str, place: Path | str) -> str:
    if isinstance(place, str):
        return blake3(data.content(_SHIPPED[role], place, _SUFFIXES.get(role, TOML))).hexdigest()
    if place.is_dir():
        return files.read(place).digest()
    return blake3(read_bytes(place, _BYTES_MAX, role)).hexdigest()
