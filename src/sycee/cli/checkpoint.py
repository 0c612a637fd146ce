"""`sycee checkpoint`: sign the position of a ledger, and check a checkpoint's signature."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import App, Parameter

from sycee.cli.lazy import ids
from sycee.cli.ledger_steps import circulation, journal_disk_of
from sycee.cli.parameters import AsJson, LedgerFolder
from sycee.cli.terminal import console, note, show, show_json
from sycee.core.errors import IntegrityError, UsageError
from sycee.core.input_files import read_bytes
from sycee.core.output_files import require_new, require_outputs

if TYPE_CHECKING:
    from sycee.core.keys import PublicKey
    from sycee.ledger.state import LedgerState
    from sycee.sequencer.checkpoint import Checkpoint, Position

app = App(name="checkpoint", help="Sign the position of a ledger, and check a checkpoint's signature.")

KEY_TEXT_BYTES_MAX: Final = 1_024  # a public key has 75 characters
KEY_SHOWN_MAX: Final = 100  # characters of an invalid key in an error
PATH_MAX: Final = 4_096  # of Linux


@app.command
def create(
    folder: LedgerFolder,
    /,
    *,
    key: Annotated[Path, Parameter(help="File with the private key of the signer.")],
    signer: Annotated[str, Parameter(help="Id of the person who signs, as UUID text.")],
    out: Annotated[Path | None, Parameter(help="Write the checkpoint to this new file instead of stdout.")] = None,
) -> int:
    """Replay the ledger to its last frame and sign its position.

    Neither writes to the folder nor locks it. Give the file to somebody else: it proves later that the journal was not
    changed.
    """
    from sycee.core.keys import SigningKey
    from sycee.sequencer import checkpoint

    require_outputs({"--out": out}, outside=folder)
    if out is not None:
        require_new(out)
    person = ids.parse(signer)
    signing_key = SigningKey.load(key)
    with console(stderr=True).status("reading the journal"):
        state, position = _position(folder)
    signed = checkpoint.sign(position, person, signing_key)
    if signing_key.public not in checkpoint.witness_keys(state, signed):
        note(
            f"note: the ledger has no witness {signer} with this key; to check the checkpoint, others need "
            f"{signing_key.public}"
        )
    if out is None:
        print(signed.text(), end="")
    else:
        signed.save(out)
        note(f"checkpoint of frame {position.sequence:,} written to {out}")
    return 0


@app.command
def verify(
    file: Annotated[Path, Parameter(help="File with the checkpoint.")],
    /,
    *,
    key: Annotated[str, Parameter(help="Public key of the witness, or a file with it.")],
    json_: AsJson = False,
) -> int:
    """Check the signature of a checkpoint and show its position; `sycee verify` compares it with a ledger."""
    from sycee.sequencer import checkpoint

    public, loaded = public_key(key), checkpoint.Checkpoint.load(file)
    try:
        checkpoint.verify(loaded, public)
    except IntegrityError as error:
        if json_:
            show_json({"ok": False, "error": error.message})
        raise
    signer, position = ids.format(loaded.signer), loaded.position
    if json_:
        show_json({"ok": True, "signer": signer, "key": str(public)} | _as_json(loaded))
        return 0
    show(f"{file} is signed by {public}.", style="bold")
    show(
        f"witness {signer}",
        f"ledger {position.ledger_id.hex()}, epoch {position.epoch}, frame {position.sequence:,}",
        *(circulation(number, amount) for number, amount in position.supply.items()),
        f"state digest {position.state_digest.hex()}",
    )
    return 0


def public_key(text: str) -> PublicKey:
    """Return the public key in a text such as `sycee key new` prints, or in a file with this text.

    Raises UsageError for anything else, UnavailableError if the file cannot be read.
    """
    from sycee.core.keys import PublicKey

    if "-----BEGIN" in text or (text.partition(":")[2] and not os.path.lexists(text)):
        return PublicKey.parse(text)  # its errors do not repeat the text, which may be a private key
    try:
        if len(text) > PATH_MAX:
            raise UsageError("too long for a path")
        content = read_bytes(Path(text), KEY_TEXT_BYTES_MAX, "key file").decode("ascii", errors="replace")
    except UsageError as error:
        raise UsageError(
            f"{text[:KEY_SHOWN_MAX]} is neither a public key nor a file that holds one",
            hint='check the path, or give the key itself: "ed25519:" and 64 hexadecimal digits',
        ) from error
    try:
        return PublicKey.parse(content)
    except UsageError as error:
        raise UsageError(f"{text}: {error.message}", hint=error.hint) from error


def _position(folder: Path) -> tuple[LedgerState, Position]:
    """Return the state after a ledger's last frame, and its position."""
    from sycee.journal.journal import Journal
    from sycee.ledger.state import LedgerState
    from sycee.sequencer.applier import Applier
    from sycee.sequencer.checkpoint import Position
    from sycee.storage.table_storage import TableStorage

    journal = Journal.open(journal_disk_of(folder), read_only=True)
    state, epoch = LedgerState(TableStorage()), 0
    applier = Applier(state)
    try:
        for frame in journal.recover():
            applier.replay(frame)
            epoch = frame.epoch
    finally:
        journal.close()
    if not epoch:
        raise UsageError(f"the ledger in {folder} has no frame", hint="write to the ledger first")
    return state, Position.of(state, ledger_id=journal.ledger_id, epoch=epoch, anchor=journal.anchor)


def _as_json(loaded: Checkpoint) -> dict[str, Any]:
    position = loaded.position
    return {
        "ledger": position.ledger_id.hex(),
        "epoch": position.epoch,
        "sequence": position.sequence,
        "time_ns": position.time_ns,
        "state_digest": position.state_digest.hex(),
        "supply": {f"{number:03d}": amount for number, amount in position.supply.items()},
    }
