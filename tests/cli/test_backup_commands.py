"""Commands about signatures, checkpoints, snapshots, restored copies and keys."""

from __future__ import annotations

import errno
import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cli.calling import SCRIPT

from sycee.core.keys import PublicKey, SigningKey
from sycee.core.records import operations
from sycee.journal.frame import FrameKind
from sycee.journal.journal import Journal
from sycee.ledger.state import LedgerState
from sycee.sequencer.applier import Applier
from sycee.sequencer.embedded import Ledger
from sycee.sequencer.folders import journal_disk

WITNESS = "0175f0a0-0000-7000-8000-000000000001"


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# --- verify --authority ---


def smuggle(folder: Path) -> int:
    """Write an unsigned frame that closes the first account, without the sequencer; return its sequence."""
    journal, state = Journal.open(journal_disk(folder)), LedgerState()
    for frame in journal.recover():
        Applier(state).replay(frame)
    record = operations.close_account(77, account=state.account_id(0))
    time_ns, sequence = journal.last_time_ns + 1, journal.last_sequence + 1
    calendar = ((156, 20201019, 202010, 2020), (1, 20201019, 202010, 2020))
    journal.append(
        kind=FrameKind.OPERATIONS,
        time_ns=time_ns,
        records=record,
        calendar=calendar,
        movement_digest=state.movement_digest,
    )
    state.reserve(record)
    state.apply(sequence, time_ns, record, calendar)
    journal.close(movement_digest=state.movement_digest)
    return sequence


def test_verify_checks_every_signature_with_authority(sycee: Any, finished: Path) -> None:
    plain, judged = sycee("verify", finished), sycee("verify", finished, "--authority")
    assert (plain.code, judged.code) == (0, 0)
    assert "signatures are valid" not in plain.out
    assert "signatures are valid, from 7 signers" in judged.out
    found = sycee("verify", finished, "--authority", "--json").json()
    assert any("operations needed signatures and had them" in sentence for sentence in found["proved"])


def test_an_unsigned_frame_is_named(sycee: Any, copy: Path) -> None:
    sequence = smuggle(copy)
    assert sycee("verify", copy).code == 0  # the sums agree
    result = sycee("verify", copy, "--authority", "--json")
    assert result.code == 3
    assert result.json()["ok"] is False
    assert f"frame {sequence}, operation 0 (CLOSE_ACCOUNT): NOT_AUTHORISED" in result.json()["error"]


def test_a_ledger_without_officers_is_reported(sycee: Any, tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "plain") as ledger:
        ledger.define_currency("EUR", zone="Europe/Berlin")
    result = sycee("verify", tmp_path / "plain", "--authority")
    assert result.code == 0
    assert "the ledger has no officers" in result.out


# --- keys ---


@pytest.mark.parametrize(("words", "name"), [((), "ed25519"), (("--p256",), "p256")])
def test_a_new_key_is_readable_by_its_owner_only(sycee: Any, tmp_path: Path, words: tuple[str, ...], name: str) -> None:
    result = sycee("key", "new", tmp_path / "a.pem", *words)
    assert (result.code, result.err) == (0, "")
    public = PublicKey.parse(result.out)
    assert str(public).startswith(name)
    assert SigningKey.load(tmp_path / "a.pem").public == public
    assert stat.S_IMODE((tmp_path / "a.pem").stat().st_mode) == 0o600
    again = sycee("key", "new", tmp_path / "a.pem")
    assert (again.code, again.out) == (2, "")
    assert "already exists" in again.err


# --- checkpoints ---


@pytest.fixture
def witness(sycee: Any, tmp_path: Path) -> Path:
    """File with a private key; `witness.pub` next to it has the public key."""
    (tmp_path / "witness.pub").write_text(sycee("key", "new", tmp_path / "witness.pem").out)
    return tmp_path / "witness.pem"


def signed(sycee: Any, folder: Path, witness: Path, name: str = "checkpoint.json") -> Path:
    out = witness.with_name(name)
    result = sycee("checkpoint", "create", folder, "--key", witness, "--signer", WITNESS, "--out", out)
    assert (result.code, result.out) == (0, ""), result.err
    return out


def test_a_checkpoint_is_created_verified_and_compared(sycee: Any, finished: Path, witness: Path) -> None:
    before = content(finished)
    file = signed(sycee, finished, witness)
    assert content(finished) == before
    result = sycee("checkpoint", "create", finished, "--key", witness, "--signer", WITNESS)
    assert result.code == 0
    assert result.out == file.read_text()
    assert f"note: the ledger has no witness {WITNESS} with this key" in result.err
    public = witness.with_suffix(".pub")
    for key in (public, public.read_text().strip()):
        checked = sycee("checkpoint", "verify", file, "--key", key, "--json")
        assert checked.code == 0
        found = sycee("verify", finished, "--checkpoint", file, "--key", key, "--json")
        assert found.code == 0
        assert found.json()["findings"] == []
        assert found.json()["digest"] == checked.json()["state_digest"]
        assert checked.json()["sequence"] == found.json()["frames"]
        assert f"agrees, and is signed by {public.read_text().strip()}" in found.json()["proved"][-1]
    assert f"is signed by {public.read_text().strip()}.\n" in sycee("checkpoint", "verify", file, "--key", public).out
    unknown = sycee("verify", finished, "--checkpoint", file)
    assert unknown.code == 0
    assert f"lists no witness {WITNESS}: its signature was not verified" in unknown.out


def test_a_checkpoint_is_still_valid_after_later_frames(sycee: Any, copy: Path, witness: Path) -> None:
    file = signed(sycee, copy, witness)
    smuggle(copy)
    assert sycee("verify", copy, "--checkpoint", file, "--key", witness.with_suffix(".pub")).code == 0


def test_a_ledger_with_another_history_differs_from_a_checkpoint(
    sycee: Any, finished: Path, copy: Path, witness: Path, tmp_path: Path
) -> None:
    key = witness.with_suffix(".pub")
    # The same replay in another folder is another ledger with the same state.
    assert sycee("pilot", "luohu", "--scale", "0.002", "--data", tmp_path / "other").code == 0
    file = signed(sycee, finished, witness)
    result = sycee("verify", tmp_path / "other", "--checkpoint", file, "--key", key, "--json")
    assert result.code == 3
    assert "differs from the signed one: its ledger_id is" in result.json()["error"]
    # A journal without its last frames.
    smuggle(copy)
    later = signed(sycee, copy, witness, "later.json")
    result = sycee("verify", finished, "--checkpoint", later, "--key", key)
    assert result.code == 3
    assert "and the journal ends with frame" in result.err


def test_a_changed_checkpoint_and_one_of_another_signer_are_refused(sycee: Any, finished: Path, witness: Path) -> None:
    file = signed(sycee, finished, witness)
    stranger = sycee("key", "new", witness.with_name("stranger.pem")).out.strip()
    document = json.loads(file.read_text())
    changed = witness.with_name("changed.json")
    changed.write_text(json.dumps(document | {"supply": {"156": "1"}}))
    for which, key in ((file, stranger), (changed, witness.with_suffix(".pub"))):
        result = sycee("checkpoint", "verify", which, "--key", key, "--json")
        assert result.code == 3
        assert result.json()["ok"] is False
        assert "is not signed by the key" in result.err
        assert sycee("verify", finished, "--checkpoint", which, "--key", key).code == 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("verify", "{folder}", "--key", "{key}"), "--key needs a checkpoint whose signature it checks"),
        (("verify", "{folder}", "--checkpoint", "{key}"), ":1: not JSON"),
        (("verify", "{folder}", "--checkpoint", "nowhere.json"), "the checkpoint nowhere.json cannot be read"),
        (("checkpoint", "verify", "{file}", "--key", "nowhere.pub"), "nowhere.pub is neither a public key nor a file"),
        (("checkpoint", "verify", "{file}", "--key", "nowhere.pub"), "hint: check the path, or give the key itself"),
        (("checkpoint", "verify", "{file}", "--key", "ed25519:12"), "a text of 10 characters is not a public key"),
        (("checkpoint", "verify", "{file}", "--key", "k" * 5_000), "is neither a public key nor a file"),
        (("verify", "{folder}", "--checkpoint", "{file}", "--key", "k" * 5_000), "is neither a public key nor a file"),
        (("checkpoint", "verify", "{file}", "--key", "{file}"), "is not a public key"),
        (("checkpoint", "create", "{folder}", "--key", "{key}", "--signer", WITNESS), "is accessible to other users"),
        (("checkpoint", "create", "{folder}", "--key", "{pem}", "--signer", "anna"), "'anna' is not an id"),
        (("checkpoint", "create", "nowhere", "--key", "{pem}", "--signer", WITNESS), "nowhere holds no ledger"),
        (
            ("checkpoint", "create", "{folder}", "--key", "{pem}", "--signer", WITNESS, "--out", "{file}"),
            "exists already",
        ),
        (("snapshot", "nowhere"), "nowhere holds no ledger"),
        (("restore", "nowhere", "somewhere"), "nowhere holds no ledger"),
        (("restore", "{folder}", "{folder}"), "is inside the ledger's folder"),
    ],
)
def test_wrong_arguments_are_usage_errors_and_change_nothing(
    sycee: Any, finished: Path, witness: Path, words: tuple[str, ...], says: str
) -> None:
    places = {
        "folder": finished,
        "pem": witness,
        "key": witness.with_suffix(".pub"),
        "file": signed(sycee, finished, witness),
    }
    places["key"].chmod(0o644)
    before = content(finished), content(witness.parent)
    result = sycee(*(word.format(**places) for word in words))
    assert (result.code, result.out) == (2, "")
    assert says in result.err
    assert "hint: " in result.err
    assert (content(finished), content(witness.parent)) == before


@pytest.mark.parametrize(
    "words", [("checkpoint", "verify", "{file}"), ("verify", "{folder}", "--checkpoint", "{file}")], ids=" ".join
)
def test_a_private_key_is_never_shown(sycee: Any, finished: Path, witness: Path, words: tuple[str, ...]) -> None:
    file = signed(sycee, finished, witness)
    call = [word.format(file=file, folder=finished) for word in words]
    secret = max(witness.read_text().splitlines(), key=len)
    bare = witness.with_name("bare.txt")
    bare.write_text(secret)
    for key, says in (
        (witness, f"{witness}: this is the private key"),
        (witness.read_text(), "this is the private key"),
        (bare, f"{bare}: a text of {len(secret)} characters is not a public key"),
    ):
        result = sycee(*call, f"--key={key}")  # in one word, since a PEM file begins with dashes
        assert (result.code, result.out) == (2, "")
        assert says in result.err
        assert secret[:12] not in result.err


def test_a_public_key_that_stdout_refuses_is_printed_to_stderr(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("NOT RUN: there is no /dev/full on this machine")
    with Path("/dev/full").open("w") as full:
        process = subprocess.run(
            [sys.executable, "-c", SCRIPT, "key", "new", str(tmp_path / "a.pem")],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert process.returncode == 4
    public = SigningKey.load(tmp_path / "a.pem").public
    assert f"note: the private key is in {tmp_path / 'a.pem'}, and its public key is {public}\n" in process.stderr
    assert "error: stdout cannot be written: No space left on device" in process.stderr


def test_an_interrupt_after_a_key_is_saved_names_its_file_and_its_public_key(
    sycee: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sycee.cli.key.print", stop, raising=False)
    result = sycee("key", "new", tmp_path / "a.pem")
    public = SigningKey.load(tmp_path / "a.pem").public
    assert (result.code, result.out) == (130, "")
    assert result.err == (
        f"\ninterrupted; the private key is in {tmp_path / 'a.pem'}, and its public key is {public}\n"
    )


def test_a_folder_that_may_not_be_read_is_unavailable_and_not_missing(
    sycee: Any, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat_of = Path.stat

    def refusing(self: Path, **options: Any) -> Any:
        if copy in self.parents:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return stat_of(self, **options)

    monkeypatch.setattr(Path, "stat", refusing)
    result = sycee("verify", copy)
    assert result.code == 4
    assert f"error: {copy}/journal: not allowed for user " in result.err


@pytest.mark.parametrize("command", ["verify", "snapshot"])
def test_the_hint_for_a_tail_in_doubt_names_commands_that_exist(sycee: Any, tmp_path: Path, command: str) -> None:
    ledger = Ledger.open(tmp_path / "doubt", snapshot_frames=None)
    ledger.define_currency("EUR", zone="Europe/Berlin")
    place = list(Journal.open(journal_disk(tmp_path / "doubt"), read_only=True).recover())[-1].location
    ledger.sequencer._log._release()  # type: ignore[attr-defined]
    segment = tmp_path / "doubt" / "journal" / place.file
    content = bytearray(segment.read_bytes())
    content[place.offset + 600] ^= 1
    segment.write_bytes(content)
    result = sycee(command, tmp_path / "doubt")
    assert result.code == 3
    assert "`sycee restore --cut-tail` into a new folder" in result.err
    assert sycee("restore", "--cut-tail", tmp_path / "doubt", tmp_path / "again").code == 0


def test_an_interrupt_after_the_restore_reports_that_it_is_done(
    sycee: Any, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("sycee.cli.restore._show", stop)
    result = sycee("restore", finished, tmp_path / "again")
    assert result.code == 130
    assert f"interrupted; {tmp_path / 'again'} holds the ledger, now in epoch 2\n" in result.err
    monkeypatch.setattr(LedgerState, "digest", stop)
    result = sycee("restore", finished, tmp_path / "once more")
    assert result.code == 130
    assert "interrupted; nothing was restored" in result.err
    assert not Journal.exists(journal_disk(tmp_path / "once more"))


def test_a_ledger_without_a_frame_has_no_checkpoint(sycee: Any, tmp_path: Path, witness: Path) -> None:
    Journal.create(journal_disk(tmp_path / "empty"))  # and here its process was killed
    result = sycee("checkpoint", "create", tmp_path / "empty", "--key", witness, "--signer", WITNESS)
    assert (result.code, result.out) == (2, "")
    assert "has no frame" in result.err


# --- snapshots and copies ---


def test_a_snapshot_equals_the_replay(sycee: Any, copy: Path) -> None:
    frames = sycee("verify", copy, "--json").json()["frames"]
    made = sycee("snapshot", copy, "--json").json()
    assert made["sequence"] == frames
    assert Path(made["file"]).stat().st_size == made["bytes"] > 0
    assert f"the state after frame {frames}\n" in sycee("snapshot", copy).out
    found = sycee("verify", copy, "--authority", "--json").json()
    assert any("snapshots that equal the replay" in sentence for sentence in found["proved"])
    # A replay that starts from the snapshot has nothing left to do.
    assert sycee("pilot", "luohu", "--scale", "0.002", "--data", copy, "--json").json()["digest"] == found["digest"]


def test_a_ledger_in_use_refuses_a_snapshot_and_allows_a_checkpoint(sycee: Any, copy: Path, witness: Path) -> None:
    with Ledger.open(copy):
        result = sycee("snapshot", copy)
        assert (result.code, result.out) == (4, "")
        assert "is in use" in result.err
        signed(sycee, copy, witness)


def test_a_restored_copy_continues_the_ledger(sycee: Any, finished: Path, witness: Path, tmp_path: Path) -> None:
    file, before = signed(sycee, finished, witness), content(finished)
    result = sycee("restore", finished, tmp_path / "again")
    assert result.code == 0
    assert f"{finished} was restored to {tmp_path / 'again'}\n" in result.out
    assert "the next frame begins epoch 2\n" in result.out
    assert content(finished) == before
    made = sycee("restore", finished, tmp_path / "and again", "--json").json()
    assert (made["epoch"], made["digest"]) == (2, sycee("verify", finished, "--json").json()["digest"])
    words = ("--authority", "--checkpoint", file, "--key", witness.with_suffix(".pub"), "--json")
    found = sycee("verify", tmp_path / "again", *words)
    assert found.code == 0
    assert found.json()["digest"] == made["digest"]


def test_a_damaged_copy_is_not_restored(sycee: Any, copy: Path, tmp_path: Path) -> None:
    segment = copy / "journal" / "000000000001.segment"
    damaged = bytearray(segment.read_bytes())
    damaged[4096 + 600] ^= 1
    segment.write_bytes(damaged)
    result = sycee("restore", copy, tmp_path / "again")
    assert result.code == 3
    assert "frame 1 at byte 4096" in result.err
    assert not (tmp_path / "again").exists() or list((tmp_path / "again").iterdir()) == []


def test_an_interrupted_restore_reports_that_nothing_was_restored(sycee: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sycee.cli.app", stop)
    assert "interrupted; nothing was restored" in sycee("restore", "a", "b").err
    assert "interrupted; nothing was changed" in sycee("checkpoint", "create", "a").err
