"""Signatures verified in other processes: results equal those of this process, whatever happens to the workers."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tests.forked import MAY_FORK, waiting_child
from tests.ledger.signers import LEDGER_ID, NOW_NS, OTTO, PHONE, SHOP, record, shared, signed

from sycee.core import keys
from sycee.core.errors import UnavailableError, UsageError
from sycee.core.keys import SigningKey
from sycee.core.records.layout import Kind
from sycee.ledger import authority, signatures
from sycee.ledger import batch as batches
from sycee.sequencer import signature_workers
from sycee.sequencer.signature_workers import SignatureVerifier

WAIT_S = 60.0


def job(number: int, *, good: bool = True, algorithm: str = "ed25519") -> bytes:
    key = SigningKey.derive(bytes([number % 7 + 1]) * 32, algorithm)
    message = number.to_bytes(8, "little") * (keys.MESSAGE_BYTES // 8)
    signature = key.sign(message if good else bytes(keys.MESSAGE_BYTES + 1))
    return keys.JOB.pack(key.public.flags, key.public.key, signature, message)


def some_jobs(count: int, seed: int = 0) -> tuple[bytes, bytes]:
    """Return jobs of both algorithms, about a third of them invalid, and the expected outcomes."""
    random = np.random.default_rng(seed)
    goods = random.random(count) < 0.66
    made = [
        job(number, good=bool(good), algorithm=keys.ALGORITHMS[number % 2])
        for number, good in enumerate(goods.tolist())
    ]
    return b"".join(made), bytes(goods.astype(np.uint8))


@pytest.fixture
def verifier() -> Iterator[SignatureVerifier]:
    made = SignatureVerifier(2)
    yield made
    made.close()


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def is_shut(process: int) -> bool:
    """Return whether the process can open no more files."""
    limits = Path(f"/proc/{process}/limits").read_text().splitlines()
    return [line.split()[3:5] for line in limits if line.startswith("Max open files")] == [["0", "0"]]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_the_answers_are_the_plain_ones(workers: int) -> None:
    verifier = SignatureVerifier(workers)
    asked = [some_jobs(count, count) for count in (1, 2, 0, 300, 1, 40, 129)]
    coming = [verifier.verify(jobs) for jobs, _ in asked]
    for (jobs, expected), future in zip(asked, coming, strict=True):
        assert future.result(WAIT_S) == expected == keys.verify_jobs(jobs)
    assert len(verifier.process_ids) == workers
    verifier.close()
    assert not verifier.process_ids


def test_workers_start_before_the_first_signature(verifier: SignatureVerifier) -> None:
    assert not verifier.process_ids
    verifier.start()
    started = verifier.process_ids
    assert len(started) == 2
    verifier.start()
    assert verifier.verify(job(1)).result(WAIT_S) == b"\1"
    assert verifier.process_ids == started


def test_callers_of_many_threads_each_get_their_own(verifier: SignatureVerifier) -> None:
    wrong: list[int] = []

    def ask(seed: int) -> None:
        for count in (1, 5, 70):
            jobs, expected = some_jobs(count, seed)
            if verifier.verify(jobs).result(WAIT_S) != expected:
                wrong.append(seed)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert not wrong


def test_a_verified_batch_has_its_checks(verifier: SignatureVerifier) -> None:
    frame = np.concatenate(
        [record(Kind.TRANSFER, 500 + number, debit=PHONE, credit=SHOP, amount=1) for number in range(3)]
    )
    given = [signed(frame[at : at + 1], PHONE, first=at) for at in range(3)] + [signed(frame, OTTO)]
    asked = batches.prepare(frame, given)
    for each in (verifier, SignatureVerifier(0)):
        checked = each.check(shared().state, LEDGER_ID, NOW_NS, asked).result(WAIT_S)
        assert checked.checks is not None
        assert checked.checks["outcome"].tolist() == [signatures.VALID] * 4
        assert checked.operations is asked.operations
        # Checks stay with their envelopes.
        part = checked.slice(0, 3).select(np.ones(3, np.bool_))
        twice = batches.concatenate([part, batches.prepare(frame[:1], given[:1])])
        assert twice.checks is not None
        assert twice.checks["outcome"].tolist() == [signatures.VALID] * 4 + [signatures.NOT_TRIED]
    unsigned = batches.prepare(frame)
    assert verifier.check(shared().state, LEDGER_ID, NOW_NS, unsigned).result(0) is unsigned


def test_the_ranges_of_joined_submissions_are_their_own(verifier: SignatureVerifier) -> None:
    """Each envelope counts from its own submission, and a batch may have more operations than 16 bits can count."""
    payments = [record(Kind.TRANSFER, 500 + number, debit=PHONE, credit=SHOP, amount=1) for number in range(4)]
    parts = [batches.prepare(one, [signed(one, PHONE)]) for one in payments]
    parts.append(batches.prepare(np.repeat(payments[0], 70_000)))
    parts.append(batches.prepare(np.concatenate(payments[:2]), [signed(payments[1], PHONE, first=1)]))
    short = batches.prepare_signed(
        [one.tobytes() for one in payments], [signed(one, PHONE).encode() for one in payments]
    )
    for asked in (batches.concatenate(parts), short, batches.concatenate([short, *parts, short])):
        checked = verifier.check(shared().state, LEDGER_ID, NOW_NS, asked).result(WAIT_S)
        assert checked.checks is not None
        assert checked.checks["outcome"].tolist() == [signatures.VALID] * asked.envelopes.size
    answers = [
        authority.authorise(
            shared().state, LEDGER_ID, NOW_NS, piece.operations, piece.frame_envelopes(), checks=piece.checks
        )
        for piece in verifier.check(shared().state, LEDGER_ID, NOW_NS, short).result(WAIT_S).split_into_frames()
    ]
    assert [codes.tolist() for codes in answers] == [[0] * 4]


def test_a_worker_that_is_killed_is_replaced_and_nothing_is_lost(verifier: SignatureVerifier) -> None:
    verifier.verify(job(1)).result(WAIT_S)
    before = verifier.process_ids
    jobs, expected = some_jobs(100)
    coming = [verifier.verify(jobs) for _ in range(20)]
    os.kill(before[0], signal.SIGKILL)
    coming += [verifier.verify(jobs) for _ in range(5)]
    assert [future.result(WAIT_S) for future in coming] == [expected] * 25
    until(lambda: len(verifier.process_ids) == 2 and before[0] not in verifier.process_ids)
    assert str(before[0]) in verifier.findings[0]
    assert verifier.verify(jobs).result(WAIT_S) == expected


@pytest.mark.parametrize(("count", "requests"), [(1, 20), (2, 1)])
def test_a_worker_that_does_not_respond_is_replaced(
    verifier: SignatureVerifier, count: int, requests: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if no other worker responds meanwhile."""
    monkeypatch.setattr(signature_workers, "ANSWER_S_MAX", 0.4)
    verifier.verify(job(1)).result(WAIT_S)
    time.sleep(0.05)  # the verifier's thread is idle
    stopped = verifier.process_ids[:count]
    for process in stopped:
        os.kill(process, signal.SIGSTOP)
    jobs, expected = some_jobs(30)
    coming = [verifier.verify(jobs) for _ in range(requests)]
    assert [future.result(WAIT_S) for future in coming] == [expected] * requests
    if count == 2:
        until(lambda: not any(is_running(process) for process in stopped))


def test_where_no_worker_stays_this_process_verifies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    jobs, expected = some_jobs(30)
    verifier = SignatureVerifier(2)
    assert [verifier.verify(jobs).result(WAIT_S) for _ in range(5)] == [expected] * 5
    assert verifier.findings
    verifier.close()
    monkeypatch.setattr(sys, "executable", "/is/not/there")
    verifier = SignatureVerifier(2)
    assert verifier.verify(jobs).result(WAIT_S) == expected
    assert "no child process can verify signatures" in verifier.findings[0]
    verifier.close()


def refuse(*_: object, **__: object) -> None:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def test_a_worker_that_cannot_be_replaced_leaves_its_requests_to_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = SignatureVerifier(1)
    verifier.verify(job(1)).result(WAIT_S)
    (process,) = verifier.process_ids
    os.kill(process, signal.SIGSTOP)
    jobs, expected = some_jobs(30)
    waiting = verifier.verify(jobs)
    monkeypatch.setattr(signature_workers.socket, "socketpair", refuse)
    os.kill(process, signal.SIGKILL)
    assert waiting.result(WAIT_S) == verifier.verify(jobs).result(WAIT_S) == expected
    reason = "Too many open files; this process verifies them"
    assert verifier.findings[-1] == f"no child process can verify signatures: {reason}"
    verifier.close()


@pytest.mark.parametrize("refused", ["socket.socketpair", "threading.Thread.start"])
def test_a_verifier_that_cannot_start_leaves_its_requests_to_their_callers(
    refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signature_workers, "RETRY_S", 0.0)
    verifier = SignatureVerifier(2)
    jobs, expected = some_jobs(30)
    with monkeypatch.context() as patched:
        patched.setattr(refused, refuse)
        assert [verifier.verify(jobs).result(0) for _ in range(3)] == [expected] * 3
    assert len(verifier.findings) == 1
    assert not verifier.process_ids
    assert verifier.verify(jobs).result(WAIT_S) == expected
    assert len(verifier.process_ids) == 2, "it starts as soon as it can"
    verifier.close()


def test_requests_are_answered_after_each_thread_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = SignatureVerifier(2)
    verifier.verify(job(1)).result(WAIT_S)
    processes = verifier.process_ids
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    jobs, expected = some_jobs(30)
    coming = [verifier.verify(jobs) for _ in range(20)]
    monkeypatch.setattr(verifier._pool, "_receive", refuse)
    for process in processes:
        os.kill(process, signal.SIGCONT)
    coming += [verifier.verify(jobs) for _ in range(20)]
    assert [future.result(WAIT_S) for future in coming] == [expected] * 40
    until(lambda: not any(is_running(process) for process in processes))
    assert verifier.verify(jobs).result(WAIT_S) == expected
    assert "Too many open files" in verifier.findings[-1]
    verifier.close()
    with pytest.raises(UnavailableError, match="closed"):
        verifier.verify(jobs)


def test_an_error_after_verification_reaches_the_caller(
    verifier: SignatureVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = record(Kind.TRANSFER, 500, debit=PHONE, credit=SHOP, amount=1)
    asked = batches.prepare(payment, [signed(payment, PHONE)])
    monkeypatch.setattr(signatures.Jobs, "checks", refuse)
    with pytest.raises(OSError, match="Too many open files"):
        verifier.check(shared().state, LEDGER_ID, NOW_NS, asked).result(WAIT_S)


def test_a_worker_that_answers_nonsense_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for answer in ("b'\\x02' * 30", "b'\\x01' * 31"):
        liar = tmp_path / "liar"
        liar.write_text(
            f"#!{sys.executable}\n"
            "import socket, sys\n"
            "with socket.socket(fileno=int(sys.argv[-1])) as parent:\n"
            f"    parent.recv(1 << 20); parent.sendall({answer}); parent.recv(1 << 20)\n"
        )
        liar.chmod(0o700)
        with monkeypatch.context() as patched:
            patched.setattr(sys, "executable", str(liar))
            verifier = SignatureVerifier(1)
            jobs, expected = some_jobs(30)
            assert verifier.verify(jobs).result(WAIT_S) == expected
            assert verifier.findings
            verifier.close()


def test_a_closed_verifier_completes_requests_and_accepts_no_more() -> None:
    verifier = SignatureVerifier(2)
    jobs, expected = some_jobs(50)
    coming = [verifier.verify(jobs) for _ in range(10)]
    processes = verifier.process_ids
    verifier.close()
    assert [future.result(0) for future in coming] == [expected] * 10
    assert not any(is_running(process) for process in processes)
    verifier.close()
    for closed in (verifier, _closed_in_process()):
        with pytest.raises(UnavailableError, match="closed"):
            closed.verify(jobs)


def _closed_in_process() -> SignatureVerifier:
    verifier = SignatureVerifier(0)
    verifier.close()
    return verifier


def test_a_callback_may_ask_again_and_close() -> None:
    verifier = SignatureVerifier(1)
    jobs, expected = some_jobs(3)
    last: Future[bytes] = Future()

    def again(_: Future[bytes]) -> None:
        verifier.verify(jobs).add_done_callback(lambda done: (verifier.close(), last.set_result(done.result())))  # type: ignore[func-returns-value]

    verifier.verify(jobs).add_done_callback(again)
    assert last.result(WAIT_S) == expected
    until(lambda: not verifier.process_ids)


def test_too_much_is_refused(verifier: SignatureVerifier, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="0 to 64; got 65"):
        SignatureVerifier(65)
    with pytest.raises(UsageError, match="211 bytes"):
        verifier.verify(bytes(211))
    monkeypatch.setattr(signature_workers, "WAITING_JOBS_MAX", 10)
    with pytest.raises(UnavailableError, match="at most 10"):
        verifier.verify(some_jobs(11)[0])


@MAY_FORK
def test_workers_end_with_a_parent_that_is_killed() -> None:
    def verifies() -> tuple[tuple[int, ...], SignatureVerifier]:
        verifier = SignatureVerifier(2)
        assert verifier.verify(job(1)).result(WAIT_S) == b"\1"
        return tuple(verifier.process_ids), verifier

    with waiting_child(verifies) as (_, processes):
        assert len(processes) == 2
        assert all(is_running(process) for process in processes)
    until(lambda: not any(is_running(process) for process in processes))


def test_a_fork_leaves_the_workers_to_their_parent(verifier: SignatureVerifier) -> None:
    jobs, expected = some_jobs(10)
    verifier.verify(jobs).result(WAIT_S)
    processes = verifier.process_ids
    child = os.fork()
    if not child:  # pragma: no cover
        said = 1
        try:
            verifier.verify(jobs)
        except UnavailableError as error:
            verifier.close()
            said = 0 if "fork" in error.message else 2
        finally:
            os._exit(said)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert verifier.verify(jobs).result(WAIT_S) == expected
    # The child's copy has no socket of the workers: they end when the parent closes.
    child = os.fork()
    if not child:  # pragma: no cover
        time.sleep(WAIT_S)
        os._exit(0)
    try:
        verifier.close()
        assert not any(is_running(process) for process in processes)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_worker_has_one_socket_and_can_open_nothing(verifier: SignatureVerifier, tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        verifier.verify(job(1)).result(WAIT_S)
        for process in verifier.process_ids:
            until(partial(is_shut, process))
            opened = [str(entry.readlink()) for entry in Path(f"/proc/{process}/fd").iterdir()]
            assert sorted(name.split(":")[0] for name in opened) == ["/dev/null"] * 3 + ["socket"]
            assert Path(f"/proc/{process}/cwd").readlink() == Path("/")
            environment = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
            assert {one.split(b"=")[0] for one in environment if one} <= {b"PYTHONPATH", b"LC_CTYPE"}
            maps = Path(f"/proc/{process}/maps").read_text()
            assert "numpy" not in maps
            assert "llvmlite" not in maps
