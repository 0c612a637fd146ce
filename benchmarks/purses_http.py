"""A drop to a sealed cohort of ten million through a bank's server, with signed payments of wallets beside it.

`python -m benchmarks.purses_http FOLDER MEMBERS` is the server: `sycee serve` on a bank whose cohort is sealed.
`python -m benchmarks.purses_http SERVED` is the program that requests the drop and signs its parts. The benchmark's own
process offers the payments, each due at its time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np

from benchmarks import memory
from benchmarks.measure import TOTAL_MS, Benchmark, Goal, Setting, Timing, settle
from benchmarks.programmes_live import NAME
from benchmarks.purses import MEMBERS, PACKET_MINOR, PAYMENTS_PER_S, approved
from benchmarks.wallets import KEYS, OPERATOR
from sycee.core import ids
from sycee.core.errors import require
from sycee.core.keys import SigningKey
from sycee.core.records import envelopes, layout, operations, single_record
from sycee.core.records.envelopes import Envelope
from sycee.core.records.signed_messages import proof_message

ROOT: Final = Path(__file__).resolve().parent.parent
PROGRAM: Final = SigningKey.derive(bytes([9]) * 32)
WALLETS: Final = 20  # each pays the next one
WALLET_MINOR: Final = 10_000
CONNECTIONS: Final = 32
QUIET_S: Final = 5.0
DROP_S_MAX: Final = 60.0


@dataclass(frozen=True, slots=True)
class Served:
    """A server, and what its clients need. `wallets`: accounts whose key follows from their place."""

    url: str
    origin: str
    client: str
    signer: int
    now_ns: int  # of the bank's clock
    ledger_id: str
    currency: int
    number: int  # of the programme on the ledger
    members: int
    wallets: list[int]


def drop(setting: Setting) -> Iterator[tuple[Timing, ...]]:
    """Request a drop over HTTP while wallets pay; the time is from the request to its answer."""
    for _ in range(setting.repeats):
        with _server(setting) as served:
            setting.say("measuring")
            due_s, took_s, began_s, ended_s = asyncio.run(_drop_beside_payments(served))
        settle(setting.folder, setting.operations)
        require(ended_s < QUIET_S + DROP_S_MAX, f"the drop took more than {DROP_S_MAX:.0f} s")
        quiet = took_s[(due_s > 1.0) & (due_s < QUIET_S)]  # without the first second, in which code is compiled
        beside = took_s[(due_s >= began_s) & (due_s < ended_s)]
        require(beside.size > 0, "no payment was due in the drop: use more members")
        beside_ms, quiet_ms = (1e3 * float(np.percentile(each, 99)) for each in (beside, quiet))
        timing = Timing(setting.operations, ended_s - began_s, beside=beside_ms / quiet_ms)
        timing.note = (
            f"{beside.size:,} signed payments beside it: 99th percentile {beside_ms:.1f} ms "
            f"(quiet {quiet_ms:.1f} ms), longest {1e3 * beside.max():.0f} ms"
        )
        yield timing, memory.filled(setting.operations, layout.PURSE.itemsize + layout.MOVEMENT.itemsize)


async def _drop_beside_payments(served: Served) -> tuple[Any, Any, float, float]:
    """Return due times and durations of payments, and begin and end of the drop, all since the first due time."""
    from sycee.load.generator import Source

    source = Source(
        _payments(served, round((QUIET_S + DROP_S_MAX) * PAYMENTS_PER_S)),
        rate_per_s=PAYMENTS_PER_S, connections=CONNECTIONS, seed=3,
    )  # fmt: skip
    place = urlsplit(served.url)
    assert place.hostname
    assert place.port
    await source.connect(place.hostname, place.port)
    start_s = time.perf_counter()
    paying = asyncio.ensure_future(source.run(start_s))
    await asyncio.sleep(QUIET_S)
    command = ("-m", "benchmarks.purses_http", json.dumps(asdict(served)))
    program = await asyncio.create_subprocess_exec(sys.executable, *command, cwd=ROOT, stdout=subprocess.PIPE)
    told, _ = await program.communicate()
    require(program.returncode == 0, "the drop was refused")
    source.end()
    await paying  # the slowest payments that were due in the drop are answered after it
    require(set(source.counts) == {"201"}, f"payments were answered {dict(source.counts)}")
    answered_s, took_s = source.answered_s, np.array(source.latencies_s)
    began_s, ended_s = (float(each) - start_s for each in told.split())
    return np.array(answered_s) - took_s, took_s, began_s, ended_s


def _payments(served: Served, count: int) -> list[bytes]:
    """Return requests of payments of one unit from each wallet to the next."""
    place, ledger_id = urlsplit(served.url).netloc, bytes.fromhex(served.ledger_id)
    head = (
        f"POST /v1/payments HTTP/1.1\r\nhost: {place}\r\n"
        "content-type: application/vnd.sycee.payment\r\ncontent-length: 232\r\n\r\n"
    ).encode()
    made = []
    for at, id in enumerate(ids.generate(count, time_ms=served.now_ns // 1_000_000)):
        payer, payee, key = served.wallets[at % WALLETS], served.wallets[(at + 1) % WALLETS], _key(at % WALLETS)
        record = single_record.pay(ids.to_int(id), payer, payee, 1)
        unsigned = Envelope(
            first=0, count=1, flags=key.public.flags, currency=served.currency, key_epoch=1, signer=payer,
            valid_until_ns=served.now_ns + 60 * 10**9, signature=b"",
        )  # fmt: skip
        made.append(head + record + envelopes.sign_record(record, unsigned, ledger_id, key))
    return made


def _key(at: int) -> SigningKey:
    return SigningKey.derive(at.to_bytes(32, "big"))


@contextlib.contextmanager
def _server(setting: Setting) -> Iterator[Served]:
    """Run the server in a process of its own; require that its bank is right at the end."""
    folder = setting.folder / "server"
    folder.mkdir()
    setting.say("sealing the cohort")
    command = [sys.executable, "-m", "benchmarks.purses_http", str(folder), str(setting.operations)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            line = process.stdout.readline()
            require(bool(line), "the server did not start")
            yield Served(**json.loads(line))
            setting.say("checking")
            process.send_signal(signal.SIGINT)
            require(process.stdout.readline() == "checked\n", "the server's bank is wrong")
        finally:
            process.kill()
    shutil.rmtree(folder)


def serve(folder: Path, members: int) -> None:
    """Serve a bank with a sealed cohort until SIGINT; print what a client needs, and at the end that all is right."""
    from sycee.bank.bank import Bank
    from sycee.server import main
    from sycee.server.auth.registers import Registers
    from sycee.server.tables import SCHEMA

    setting = Setting(folder, members, 1, lambda _: None)
    with approved(setting, keep=True) as (bank, payments, signers):
        north = bank.people.person_of_key(KEYS[4].public)
        bank.programmes.allot(NAME, signers=signers, who=north)
        wallets = [_opened(bank, payments.vault, at) for at in range(WALLETS)]
    with Bank.open(folder / "bank" / "bank", signature_workers=1, schemas=(SCHEMA,)) as bank:
        officer = bank.people.person_of_key(KEYS[0].public)
        program = Registers(bank).clients.register(north, PROGRAM.public, by=officer, name="drops", operator=OPERATOR)
        with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
            number = bank.programmes.occurrence(NAME).number
            assert number is not None
            told = Served(
                url=f"http://127.0.0.1:{listening.getsockname()[1]}", origin=bank.config.text("http_origin"),
                client=ids.format(program.id), signer=north, now_ns=bank.stores.clock.now_ns(),
                ledger_id=bank.stores.ledger.ledger_id.hex(), currency=bank.config.currency.numeric, number=number,
                members=members, wallets=wallets,
            )  # fmt: skip
            sys.stdout.write(json.dumps(asdict(told)) + "\n")
            sys.stdout.flush()
            main.serve(bank, listening)
        with bank.stores.ledger.sequencer.reading() as state:
            filled = int(np.count_nonzero(state.all_purses["dropped"] == PACKET_MINOR))
        require(filled == members, f"{filled:,} of {members:,} purses were filled")
        require(bank.check() == [], "SQL and ledger do not agree")
    sys.stdout.write("checked\n")


def _opened(bank: Any, vault: int, at: int) -> int:
    """Open a wallet with a key of its own, pay it from the vault, and return its account."""
    signers, who, key = bank.signers(KEYS[4]), bank.people.person_of_key(KEYS[4].public), _key(at)
    account = bank.wallets.new_account()
    wallet = bank.wallets.open_person(
        {"name": f"Payer {at}", "phone": f"+86138{at:08}"}, operator=OPERATOR, tier="class-4", signers=signers,
        who=who, account=account, key=key.public,
        proof=key.sign(proof_message(bank.stores.ledger.ledger_id, account, 1, key.public)),
    )  # fmt: skip
    record = operations.transfer(bank.stores.new_id(), debit=vault, credit=account, amount=WALLET_MINOR)
    until_ns = bank.stores.clock.now_ns() + 60 * 10**9
    signed = [each.sign(record, bank.stores.ledger.ledger_id, until_ns) for each in signers]
    (answer,) = bank.stores.ledger.sequencer.submit(record, signed)
    require(int(answer["code"]) == 0, "a wallet got no money")
    return int(wallet.account)


def request(served: Served) -> None:
    """Request the drop; print when it began and ended."""
    from sycee.client import Client, Credentials, Signer, api
    from sycee.client.values import PacketShare

    shares = [PacketShare("everybody", served.members, PACKET_MINOR)]
    with Client(
        served.url, Credentials(served.client, PROGRAM), origin=served.origin, now_ns=lambda: served.now_ns,
        timeout=DROP_S_MAX,
    ) as client:  # fmt: skip
        require(client.do(api.occurrence(NAME)).state == "allotted", "the cohort is not sealed")
        began = time.perf_counter()
        done = client.do(
            api.drop_packets(NAME, 0, shares, Signer(served.signer, KEYS[4]), programme_number=served.number)
        )
        ended = time.perf_counter()
    require(done.state == "dropped", f"the occurrence is {done.state}")
    sys.stdout.write(f"{began!r} {ended!r}\n")


BENCHMARKS: Final = (
    Benchmark(
        "programmes-purses-http",
        "the packets of 10,000,000 members dropped over HTTP, from the request to its answer, 200 signed payments/s "
        "of wallets beside it",
        None,
        MEMBERS,
        "the same rows and movements written in order into new memory",
        drop,
        unit=TOTAL_MS,
        goal=Goal(5_000, beside_max=2),
    ),
)

if __name__ == "__main__":
    if len(sys.argv) == 2:
        request(Served(**json.loads(sys.argv[1])))
    else:
        serve(Path(sys.argv[1]), int(sys.argv[2]))
