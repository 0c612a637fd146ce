"""`sycee checkpoint`: say, signed, where a ledger stands; and check what somebody else said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from sycee.cli import console
from sycee.core.errors import IntegrityError, UsageError
from sycee.storage.table_storage import TableStorage

if TYPE_CHECKING:
    from sycee.core.keys import PublicKey
    from sycee.ledger.state import LedgerState
    from sycee.sequencer.checkpoint import Checkpoint, Position

app = App(name="checkpoint", help="Say, signed, where a ledger stands, and check what a witness said.")

KEY_TEXT_BYTES_MAX = 1_024  # a public key has 75 characters
KEY_SHOWN_MAX = 100  # of a name that is none


@app.command
def create(
    folder: Annotated[Path, Parameter(help="The ledger's folder, as given to --data or Ledger.open.")],
    /,
    *,
    key: Annotated[Path, Parameter(help="File with the private key of who signs.")],
    signer: Annotated[str, Parameter(help="Id of the person who signs, as the ledger knows it.")],
    out: Annotated[Path | None, Parameter(help="Write the checkpoint to this new file, not to stdout.")] = None,
) -> int:
    """Replay the ledger to its last frame and sign where it stands then.

    Writes nothing to the folder and takes no lock. Give the file away: it shows later that the journal was not changed.
    """
    from sycee.core import ids
    from sycee.core.keys import SigningKey
    from sycee.sequencer import checkpoint

    person = ids.parse(signer)
    signing_key = SigningKey.load(key)
    if out is not None and out.exists():
        raise UsageError(f"{out} is there already", hint="choose another name: an older checkpoint may be needed")
    with console(stderr=True).status("reading the journal"):
        state, position = _position(folder)
    made = checkpoint.sign(position, person, signing_key)
    talk = console(stderr=True)
    if signing_key.public not in checkpoint.witness_keys(state, made):
        note = f"the ledger knows no witness {signer} with this key: who checks it needs {signing_key.public}"
        talk.print(f"note: {note}", markup=False, soft_wrap=True)
    if out is None:
        print(made.text(), end="")
    else:
        made.save(out)
        talk.print(f"checkpoint of frame {position.sequence:,} written to {out}", markup=False, soft_wrap=True)
    return 0


@app.command
def verify(
    file: Annotated[Path, Parameter(help="The checkpoint's file.")],
    /,
    *,
    key: Annotated[str, Parameter(help="The witness's public key, or a file that holds it.")],
    json_: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object to stdout.")] = False,
) -> int:
    """Check who signed a checkpoint, and say where the ledger stood. Whether it still does, `sycee verify` says."""
    from sycee.core import ids
    from sycee.sequencer import checkpoint

    public, said = public_key(key), checkpoint.Checkpoint.load(file)
    try:
        checkpoint.verify(said, public)
    except IntegrityError as error:
        if json_:
            print(json.dumps({"ok": False, "error": error.message}))
        raise
    signer = ids.format(said.signer)
    if json_:
        print(json.dumps({"ok": True, "signer": signer, "key": str(public)} | _as_json(said)))
        return 0
    position = said.position
    terminal = console()
    terminal.print(f"{file} is signed by {public}.", style="bold", markup=False, soft_wrap=True)
    for line in (
        f"witness {signer}",
        f"ledger {position.ledger_id.hex()}, epoch {position.epoch}, frame {position.sequence:,}",
        *(f"in circulation: {_supply(number, amount)}" for number, amount in position.supply.items()),
        f"state digest {position.state_digest.hex()}",
    ):
        terminal.print(line, markup=False, soft_wrap=True)
    return 0


def public_key(text: str) -> PublicKey:
    """A public key as `sycee key new` prints it, or the file that this was written to. Raises UsageError."""
    from sycee.core.keys import PublicKey

    if "-----BEGIN" in text:
        return PublicKey.parse(text)  # which says what that is, and repeats nothing of it
    try:
        if text.partition(":")[2] and not Path(text).exists():
            return PublicKey.parse(text)
        with Path(text).open(encoding="ascii", errors="replace") as file:
            content = file.read(KEY_TEXT_BYTES_MAX)
    except OSError as error:
        raise UsageError(
            f"{text[:KEY_SHOWN_MAX]} is neither a public key nor a file that can be read: {error.strerror}",
            hint='a public key looks like "ed25519:" and 64 hexadecimal digits',
        ) from error
    try:
        return PublicKey.parse(content)
    except UsageError as error:
        raise UsageError(f"{text}: {error.message}", hint=error.hint) from error


def _position(folder: Path) -> tuple[LedgerState, Position]:
    """The state after a ledger's last frame, and where that is."""
    from sycee.journal.journal import Journal
    from sycee.ledger.state import LedgerState
    from sycee.sequencer.applier import Applier
    from sycee.sequencer.checkpoint import Position
    from sycee.sequencer.folders import journal_disk

    disk = journal_disk(folder)
    if not Journal.exists(disk):
        raise UsageError(f"{folder} holds no ledger", hint="name the folder that was given to --data or Ledger.open")
    journal, state, epoch = Journal.open(disk, read_only=True), LedgerState(TableStorage()), 0
    try:
        for frame in journal.recover():
            Applier(state).replay(frame)
            epoch = frame.epoch
    finally:
        journal.close()
    if not epoch:
        raise UsageError(f"{folder} holds a ledger without a frame", hint="there is nothing yet to say about it")
    return state, Position.of(state, ledger_id=journal.ledger_id, epoch=epoch, anchor=journal.anchor)


def _as_json(said: Checkpoint) -> dict[str, Any]:
    position = said.position
    return {
        "ledger": position.ledger_id.hex(),
        "epoch": position.epoch,
        "sequence": position.sequence,
        "time_ns": position.time_ns,
        "state_digest": position.state_digest.hex(),
        "supply": {f"{number:03d}": amount for number, amount in position.supply.items()},
    }


def _supply(number: int, amount: int) -> str:
    from sycee.core import money

    try:
        return money.format(amount, money.currency(number), code=True)
    except UsageError:
        return f"{amount:,} minor units of book {number}"
