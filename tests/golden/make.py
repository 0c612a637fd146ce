"""Make the golden journals anew: `python -m tests.golden.make`, from the repository's folder.

A packed segment is written only where its bytes would differ, since one release of zlib packs unlike another.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.golden import ledgers, ledgers_roles, ledgers_version_2
from tests.golden.book import Book

HERE = Path(__file__).resolve().parent
LEDGERS: dict[str, Callable[[Book], None]] = {
    made.__name__: made
    for made in (
        ledgers_roles.kinds, ledgers.limits, ledgers.holds, ledgers.chains, ledgers.waterfall, ledgers.settlement,
        ledgers.exchange, ledgers_roles.programme, ledgers_roles.authority, ledgers_roles.epochs,
        ledgers_version_2.version_2,
    )
}  # fmt: skip


def make(name: str, folder: Path) -> dict[str, bytes]:
    """Write a golden ledger into an empty folder. Its files by path: segments, unpacked, and frames.txt."""
    book = Book(folder, name)
    LEDGERS[name](book)
    book.close()
    files = {f"journal/{path.name}": path.read_bytes() for path in sorted(folder.glob("journal/*.segment"))}
    return {**files, "frames.txt": "".join(f"{line}\n" for line in book.lines).encode()}


def kept(name: str) -> dict[str, bytes]:
    """The same of what stands in this folder."""
    paths = sorted((HERE / name).glob("journal/*.segment.gz"))
    files = {f"journal/{path.stem}": gzip.decompress(path.read_bytes()) for path in paths}
    frames = HERE / name / "frames.txt"
    return {**files, "frames.txt": frames.read_bytes()} if frames.is_file() else files


def unpack(name: str, folder: Path) -> list[str]:
    """Write the journal that stands here into a ledger's empty folder; the lines of its frames.txt."""
    files = kept(name)
    lines = files.pop("frames.txt").decode().splitlines()
    for path, content in files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(content)
    return lines


def main() -> None:
    """Write what is not there yet or differs, and remove what no ledger makes."""
    for name in LEDGERS:
        with tempfile.TemporaryDirectory() as folder:
            made, before = make(name, Path(folder)), kept(name)
        changed = [path for path in {**before, **made} if made.get(path) != before.get(path)]
        for path in changed:
            packed = path.endswith(".segment")
            target = HERE / name / (f"{path}.gz" if packed else path)
            if path not in made:
                target.unlink()
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(gzip.compress(made[path], mtime=0) if packed else made[path])
        sys.stdout.write(f"{name}: {', '.join(changed) or 'as before'}\n")


if __name__ == "__main__":
    main()
