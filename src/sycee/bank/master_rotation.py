"""Replace the master key of personal data, while no process has the bank open."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sycee.bank.config import Config
from sycee.bank.folder import DataFolder
from sycee.bank.founding import master_key
from sycee.bank.rehearsal_clock import RehearsalClock
from sycee.core.clock import Clock, RealClock
from sycee.core.output_files import write_file
from sycee.core.secret_files import SecretKey
from sycee.personal import keys
from sycee.sequencer.embedded import Ledger

_LINE: Final = re.compile(r"(?m)^master_key\s*=.*$")


@dataclass(frozen=True, slots=True)
class Rotation:
    """A rotation that was done. `source`: where the setting master_key had its value from."""

    persons: int
    source: str


def rotate_master_key(folder: Path, new: Path, *, options: Mapping[str, str] | None = None) -> Rotation:
    """Encrypt the key file and its backup under the master key in the file `new`, and store its path in the settings.

    `new` is created if absent. After a kill, the same call completes the rotation; the bank cannot be opened before.
    Raises UsageError for the present master key, UnavailableError if another process has the bank open or the backup is
    not reachable.
    """
    data_folder = DataFolder(folder)
    config = Config.load(data_folder, options)
    old = SecretKey.load(config.path("master_key")).secret
    clock: Clock = RehearsalClock(data_folder.clock) if config.flag("rehearsal") else RealClock()
    with Ledger.open(data_folder.path, create=False, clock=clock):  # opened for the lock of the folder alone
        file, backup = config.path("key_store"), config.path("key_backup")
        keys.require_reachable(file, backup)
        persons = keys.rotate(file, backup, old, master_key(new))
        text = data_folder.settings.read_text(encoding="utf-8")
        line = f'master_key = "{_escaped(os.path.relpath(new, data_folder.path))}"'
        write_file(data_folder.settings, _LINE.sub(lambda _: line, text, count=1).encode())
    return Rotation(persons, config.values["master_key"].source)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
