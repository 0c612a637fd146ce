"""`sycee sandbox verify`: compute the digests of stored results again, and the results themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from sycee.cli.parameters import AsJson
from sycee.cli.terminal import print_table, progress, show, show_json, table

if TYPE_CHECKING:
    from sycee.sandbox.city.model import City
    from sycee.sandbox.records.checking import Checked

_DIGITS = 16  # of a digest in the table
_SHOWN = 10  # differences


def verify(
    place: Annotated[
        Path, Parameter(name="PLACE", help="A record, a posterior, a city, or a folder with some of them.")
    ],
    /,
    *,
    inputs: Annotated[
        Path | None, Parameter(help="Folder of input files that are not at the paths of the record.")
    ] = None,
    rerun: Annotated[bool, Parameter(help="Compute each result a second time, and compare all of its values.")] = False,
    source: Annotated[
        str | None, Parameter(help="City file, or the name of a shipped city: build the city a second time.")
    ] = None,
    json_: AsJson = False,
) -> None:
    """Compute the digests of stored results again, and compare them with their records.

    Exit code 3 if a file is damaged or a digest or a value differs, 2 if an input is not found.
    """
    from sycee.core.errors import UsageError
    from sycee.sandbox.city import files
    from sycee.sandbox.records import checking

    if (place / files.MANIFEST).is_file() or (place.is_dir() and source is not None):
        _city(place, source, rerun=rerun, as_json=json_)
        return
    if source is not None:
        raise UsageError(f"{place} is no city", hint="--source is the file of a city; --rerun computes a record again")
    paths, cities = checking.records_in(place) if place.is_dir() else ([place], [])
    found = [checking.check(each, (inputs,) if inputs else (), progress, rerun=rerun) for each in paths]
    for folder in cities:
        digest = files.read(folder).digest()  # which compares it with the manifest
        found.append(checking.Checked(folder, "city", "", (checking.Check("columns", digest, digest),), None))
    passed = all(each.is_whole for each in found)
    missing = [name for each in found for name in each.missing]
    if json_:
        show_json({"ok": passed and not missing, "records": [checking.as_json(each) for each in found]})
    else:
        for each in found:
            _show(each)
        if passed and not missing:
            show("verification passed")
        else:
            show("verification failed" if not passed else "verification is incomplete")
    _raise(found, missing)


def _show(each: Checked) -> None:
    show(f"{each.path}: {each.kind}" + (f", made by release {each.release}" if each.release else ""), style="bold")
    words = {True: "equal", False: "differs", None: "not found"}
    shown = table("digest of", "recorded", "now", "")
    for row in each.checks:
        shown.add_row(row.of, row.recorded[:_DIGITS], (row.found or "–")[:_DIGITS], words[row.is_equal])
    print_table(shown)
    if each.differences is None:
        return
    if not each.differences:
        show("computed again: all values are equal")
        return
    show(
        "computed again: "
        + ("1 value differs" if len(each.differences) == 1 else f"{len(each.differences):,} values differ")
    )
    for one in each.differences[:_SHOWN]:
        show(f"  {one.key}: recorded {one.recorded}, now {one.again}")


def _raise(found: list[Checked], missing: list[str]) -> None:
    from sycee.core.errors import IntegrityError, UsageError
    from sycee.core.words import quantity
    from sycee.sandbox.records.checking import CODE

    wrong = next((each for each in found if not each.is_whole), None)
    if wrong is not None:
        differ = [row.of for row in wrong.checks if row.is_equal is False]
        hint = "an input or the record was changed after the result was made: restore it, or make the result again"
        if wrong.differences:
            differ, hint = [quantity(len(wrong.differences), "value")], "compare the release that made it with this one"
        elif differ == [CODE]:
            hint = "another release made it; --rerun computes the result with this one"
        raise IntegrityError(f"{wrong.path} differs in {', '.join(differ)}", hint=hint)
    if missing:
        raise UsageError(
            f"not found: {', '.join(dict.fromkeys(missing))}",
            hint="run the command where the result was made, or name the folder of these files: --inputs FOLDER",
        )


def _city(folder: Path, source: str | None, *, rerun: bool, as_json: bool) -> None:
    """Verify the city in a folder. With `rerun`, it is built again from the shipped file of its name."""
    from sycee.core.errors import IntegrityError
    from sycee.sandbox.city import files

    city = files.read(folder)
    digest = city.digest()
    source = city.name if rerun and source is None else source
    rebuilt = None if source is None else _rebuilt(city, source)
    passed = rebuilt in (None, digest)
    if as_json:
        record: dict[str, Any] = files.manifest(city, digest)
        kept = {key: record[key] for key in ("format", "digest", "file_digest", "release")}
        show_json({"ok": passed, **kept, "rebuilt": rebuilt})
    else:
        show(f"{folder}: {city.name}, {len(city.persons):,} persons, {len(city.merchants):,} shops", f"digest {digest}")
        if rebuilt is not None:
            found = "equal" if passed else f"the digest is {rebuilt}"
            show(f"built again from {source} with seed {city.seed}, one in {city.one_in}: {found}")
        show("verification passed" if passed else "verification failed")
    if not passed:
        raise IntegrityError(
            f"{folder} is not the city of {source}", hint="compare the release that built it with this one"
        )


def _rebuilt(city: City, source: str) -> str:
    """Return the digest of the city built from its file. Raises IntegrityError if it was built from another file."""
    from sycee.core.errors import IntegrityError
    from sycee.sandbox.city import definition
    from sycee.sandbox.city.build import build

    file = definition.load(source)
    if file.digest != city.file_digest:
        raise IntegrityError(
            f"the city was built from a file with the digest {city.file_digest}, and {source} has {file.digest}",
            hint="name the file that the city was built from",
        )
    with progress(f"building {file.name}", "persons") as report:
        return build(file, seed=city.seed, one_in=city.one_in, progress=report).digest()
