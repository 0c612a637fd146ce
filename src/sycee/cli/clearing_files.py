"""Files of messages: each NAME.xml with its signature NAME.xml.sig, and its answer NAME.answer.xml."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, Protocol, TypeAlias

from cyclopts import Parameter

from sycee.cli.terminal import note, show
from sycee.core.errors import UsageError
from sycee.core.words import quantity

SIGNATURE_ENDING: Final = ".sig"
ANSWER_ENDING: Final = ".answer.xml"

MessageFolder: TypeAlias = Annotated[
    Path, Parameter(name="MESSAGES", help="Folder with files NAME.xml, each with its signature NAME.xml.sig.")
]


class Answered(Protocol):
    """The answer to a delivery, and its payments: stored now, stored before, and refused."""

    @property
    def answer(self) -> bytes:
        """Return the answer, XML."""

    @property
    def stored(self) -> int:
        """Return the number of payments stored now."""

    @property
    def duplicates(self) -> int:
        """Return the number of payments stored before."""

    @property
    def refused(self) -> int:
        """Return the number of refused payments and messages."""


def deliver_all(messages: Path, take: Callable[[bytes, bytes], Answered]) -> int:
    """Deliver the files of a folder that have no answer, write their answers, show the sums, and return the exit code.

    `take`: delivers content with its signature. It raises UsageError for a file that gets no answer, which is shown.
    """
    files = [each for each in sorted(messages.glob("*.xml")) if not each.name.endswith(ANSWER_ENDING)]
    waiting = [each for each in files if not _answer_to(each).exists()]
    stored = duplicates = refused = requests = 0
    for file in waiting:
        answered = _taken(file, take)
        if answered is None:
            refused += 1
            continue
        stored, duplicates = stored + answered.stored, duplicates + answered.duplicates
        refused += answered.refused
        requests += not (answered.stored or answered.duplicates or answered.refused)
    others = f", {quantity(requests, 'request')} answered" if requests else ""
    show(
        f"{quantity(len(waiting), 'file')}: {quantity(stored, 'payment')} stored, {duplicates:,} there before, "
        f"{refused:,} refused{others}"
    )
    return 1 if refused else 0


def require_folder(messages: Path) -> None:
    """Raise UsageError for a path that is no folder."""
    if not messages.is_dir():
        raise UsageError(f"{messages} is no folder", hint="name the folder with the files NAME.xml")


def read_file(file: Path) -> bytes:
    """Return the content of a file with a message or a signature. Raises UsageError if it cannot be read."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror}", hint="`sycee clearing sign` signs files"
        ) from error


def _taken(file: Path, take: Callable[[bytes, bytes], Answered]) -> Answered | None:
    """Deliver a file and write its answer; None if it gets none, with a line on stderr."""
    from sycee.core.output_files import write_file

    try:
        text = read_file(file.with_name(file.name + SIGNATURE_ENDING)).decode("ascii").strip()
        answered = take(read_file(file), bytes.fromhex(text))
    except (UsageError, ValueError) as error:
        note(f"{file.name} is refused: {error.message if isinstance(error, UsageError) else 'its signature is no hex'}")
        return None
    write_file(_answer_to(file), answered.answer)
    return answered


def _answer_to(file: Path) -> Path:
    return file.with_name(file.name.removesuffix(".xml") + ANSWER_ENDING)
