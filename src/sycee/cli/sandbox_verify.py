"""`sycee sandbox verify`: compute the digests of a stored result again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from sycee.cli.parameters import AsJson
from sycee.cli.terminal import progress, show, show_json

if TYPE_CHECKING:
    from sycee.sandbox.city.model import City


def verify(
    folder: Annotated[Path, Parameter(help="A city.")],
    /,
    *,
    source: Annotated[
        str | None, Parameter(help="City file, or the name of a shipped city: build the city a second time.")
    ] = None,
    json_: AsJson = False,
) -> None:
    """Compute the digests of a stored result again, and compare them with its record.

    Exit code 3 if a file is damaged or a digest differs.
    """
    from sycee.core.errors import IntegrityError
    from sycee.sandbox.city import files

    city = files.read(folder)
    digest = city.digest()
    rebuilt = None if source is None else _rebuilt(city, source)
    passed = rebuilt in (None, digest)
    if json_:
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
