"""One load: sign, connect, offer, and report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np

from sycee.core import ids
from sycee.core.errors import UnavailableError, UsageError
from sycee.core.extras import extra
from sycee.load import processes
from sycee.load.generator import Source, run_sources
from sycee.load.readers import ReaderProcess, Readers
from sycee.load.signing import Progress, sign_payments
from sycee.load.wallets import LoadWallets, read_wallets

with extra("bank"):
    import uvloop

PATH: Final = "/v1/payments"
BAD_ADDRESS: Final = "127.0.0.2"
BAD_CONNECTIONS: Final = 32
STATEMENTS: Final = 50  # wallets whose statements are read, in turn
HELD: Final = 0.95  # share of the offered rate that must be answered for the rate to be held


@dataclass(frozen=True, slots=True)
class Load:
    """The requests of a load. `bad_per_s`: payments with invalid signatures per second, sent from BAD_ADDRESS.

    `streams`, `reads_statements`, `programs`, `origin`: of `readers.Readers`, which read meanwhile.
    """

    url: str
    keys: Path
    rate_per_s: float
    seconds: float
    connections: int = 256
    curve: str = "Ed25519"
    bad_per_s: float = 0.0
    seed: int = 1
    streams: int = 0
    reads_statements: bool = False
    programs: tuple[tuple[str, str], ...] = ()
    origin: str = ""


def run_load(load: Load, progress: Progress | None = None) -> dict[str, Any]:
    """Run a load; return its report as members of JSON. Raises UnavailableError if the server cannot be reached."""
    host, port = _place_of(load.url)
    wallets = read_wallets(load.keys, load.curve)
    sources = [_source(load, wallets, host, port, progress=progress)]
    if load.bad_per_s:
        sources.append(_bad_source(load, wallets, host, port))
    readers = _readers(load, wallets)
    server = processes.server_processes(port)
    before = processes.cpu_times(server)
    own_before_s = processes.own_cpu_s()
    try:
        took_s = uvloop.run(run_sources(sources, host, port))
    except (OSError, TimeoutError) as error:
        raise UnavailableError(
            f"{load.url} cannot be reached: {str(error) or type(error).__name__}",
            hint="start the server, then try again",
        ) from error
    own_s = processes.own_cpu_s() - own_before_s
    after = processes.cpu_times(server)
    read = readers.stop() if readers else None
    good, bad = sources[0], sources[1:]
    report = {
        "url": load.url,
        "curve": load.curve,
        "wallets": len(wallets.wallets),
        "connections": load.connections,
        "seconds": round(took_s, 3),
        **_figures(good),
        "cpu": {
            "generator_s": round(own_s, 3),
            "server": [
                {"process": each.process, "name": each.name, "cpu_s": round(each.cpu_s - start.cpu_s, 3)}
                for start, each in zip(before, after, strict=False)
                if start.process == each.process
            ],
        },
    }
    if bad:
        report["bad"] = _figures(bad[0])
    if read:
        report["readers"] = read
    return report


def _readers(load: Load, wallets: LoadWallets) -> ReaderProcess | None:
    """Start the readers of a load, if it has any. Raises UsageError for readers without a program."""
    if not load.streams and not load.reads_statements:
        return None
    if not load.programs:
        raise UsageError("readers need a login", hint="name a registered program with --program ID=KEYFILE")
    accounts = tuple(ids.format(each.account) for each in wallets.wallets[:STATEMENTS])
    return ReaderProcess(
        Readers(
            load.url,
            load.origin or load.url,
            load.programs,
            load.streams,
            accounts if load.reads_statements else (),
        )
    )


def _figures(source: Source) -> dict[str, Any]:
    latencies_ms = 1_000 * np.array(source.latencies_s or [0.0])
    p50, p99, p999 = np.percentile(latencies_ms, (50, 99, 99.9))
    window_s = source.count / source.rate_per_s
    # Answers after the end of the window are late: they show a queue that grew.
    in_time = source.answered_by(window_s)
    return {
        "offered_per_s": source.rate_per_s,
        "answered_per_s": round(in_time / window_s, 1),
        "held": bool(in_time >= HELD * source.count),
        "requests": source.count,
        "answers": dict(sorted(source.counts.items())),
        "latency_ms": {
            "p50": round(float(p50), 3),
            "p99": round(float(p99), 3),
            "p99.9": round(float(p999), 3),
            "max": round(float(latencies_ms.max()), 3),
        },
    }


def _source(load: Load, wallets: LoadWallets, host: str, port: int, *, progress: Progress | None) -> Source:
    payments = sign_payments(wallets, round(load.rate_per_s * load.seconds), seed=load.seed, progress=progress)
    head = _head(host, port)
    return Source(
        [head + payment for payment in payments],
        rate_per_s=load.rate_per_s,
        connections=load.connections,
        seed=load.seed,
    )


def _bad_source(load: Load, wallets: LoadWallets, host: str, port: int) -> Source:
    payments = sign_payments(wallets, round(load.bad_per_s * load.seconds), seed=load.seed + 1, valid=False)
    head = _head(host, port)
    return Source(
        [head + payment for payment in payments],
        rate_per_s=load.bad_per_s,
        connections=BAD_CONNECTIONS,
        seed=load.seed + 1,
        local_address=BAD_ADDRESS,
    )


def _head(host: str, port: int) -> bytes:
    return (
        f"POST {PATH} HTTP/1.1\r\nhost: {host}:{port}\r\n"
        "content-type: application/vnd.sycee.payment\r\ncontent-length: 232\r\n\r\n"
    ).encode()


def _place_of(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        port = parts.port or 80
    except ValueError as error:
        raise UsageError(
            f"{url} is no address: {error}", hint="give an address such as http://127.0.0.1:8000"
        ) from error
    if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/"):
        raise UsageError(
            f"{url} is no address of a server without TLS", hint="give an address such as http://127.0.0.1:8000"
        )
    return parts.hostname, port
