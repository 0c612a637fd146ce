"""Send one webhook: resolve the host, check every address, connect to a checked one, and read a short answer.

The name is resolved for each connection, and the connection is made to the checked address, so a name that changes its
address in between changes nothing. TLS verifies the certificate for the name. Redirects are answers like others: they
are never followed. Proxies of the environment are not used.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore
import httpx

from sycee.core.errors import UsageError
from sycee.core.retries import Answer
from sycee.server.events.addresses import Network, checked

CONNECT_S: Final = 5.0
TOTAL_S: Final = 15.0
ANSWER_BYTES_MAX: Final = 16 << 10
KEEP_ALIVE_S: Final = 5.0
URL_CHARACTERS_MAX: Final = 1_000

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


async def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host. Raises OSError if there are none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connections to checked addresses only."""

    def __init__(self, permitted: Sequence[Network], is_tls: bool, resolver: Resolve) -> None:
        self._permitted = permitted
        self._is_tls = is_tls
        self._resolver = resolver
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, check and connect. Raises UsageError for an address that is not permitted."""
        try:
            texts = await self._resolver(host, port)
        except OSError as error:
            raise httpcore.ConnectError(f"{host} cannot be resolved") from error
        failed: Exception = httpcore.ConnectError("no address answered")
        for address in checked(texts, self._permitted, is_tls=self._is_tls):
            try:
                return await self._backend.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: a webhook goes to a host."""
        raise httpcore.ConnectError("webhooks use no Unix socket")

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await self._backend.sleep(seconds)


class Sender:
    """Sends webhooks to one URL, one at a time, on one connection."""

    def __init__(
        self,
        url: str,
        *,
        permitted: Sequence[Network] = (),
        resolver: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Prepare. Raises UsageError for a URL that `check_url` refuses."""
        parsed = check_url(url)
        is_tls = parsed.scheme == "https"
        self._url = httpcore.URL(
            scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path
        )
        self._host = parsed.netloc
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or (_public_tls() if is_tls else None),
            max_connections=1,
            keepalive_expiry=KEEP_ALIVE_S,
            network_backend=CheckedNetwork(permitted, is_tls, resolver),
        )

    async def send(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send a body, and return the answer. Every failure of the network is an answer with status 0."""
        sent = [
            (b"host", self._host),
            (b"user-agent", b"sycee-webhooks"),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            *((name.encode(), value.encode()) for name, value in headers.items()),
        ]
        timeouts = {"connect": CONNECT_S, "read": TOTAL_S, "write": TOTAL_S, "pool": TOTAL_S}
        try:
            async with asyncio.timeout(TOTAL_S):
                async with self._pool.stream(
                    "POST", self._url, headers=sent, content=body, extensions={"timeout": timeouts}
                ) as answer:
                    read = 0
                    async for part in answer.aiter_stream():
                        read += len(part)
                        if read > ANSWER_BYTES_MAX:
                            break  # the status counts; the connection is closed with the rest of the body
                    return Answer(answer.status, f"status {answer.status}", _retry_after(answer.headers))
        except TimeoutError:
            return Answer(0, f"no complete answer in {TOTAL_S:g} s")
        except UsageError as error:
            return Answer(0, error.message)
        except (
            httpcore.NetworkError,
            httpcore.ProtocolError,
            httpcore.TimeoutException,
            OSError,
            ssl.SSLError,
        ) as error:
            return Answer(0, f"no answer: {type(error).__name__}")

    async def close(self) -> None:
        """Close the connection."""
        await self._pool.aclose()


@cache  # reading the certificates of the machine takes milliseconds
def _public_tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def check_url(url: str) -> httpx.URL:
    """Return the URL of a webhook. Raises UsageError unless it is http(s)://HOST[:PORT]/… without user and fragment."""
    hint = "write https://HOST/PATH"
    if len(url) > URL_CHARACTERS_MAX or not url.isascii() or not url.isprintable() or " " in url:
        raise UsageError(f"a webhook's URL has up to {URL_CHARACTERS_MAX} printable ASCII characters", hint=hint)
    try:
        parsed = httpx.URL(url)
        split = urlsplit(url)
        is_wrong = "@" in split.netloc or split.port == 0  # a port above 65,535 raises
    except (httpx.InvalidURL, ValueError) as error:
        raise UsageError("this is no URL", hint=hint) from error
    if parsed.scheme not in ("https", "http") or not parsed.host or is_wrong or parsed.fragment:
        raise UsageError("a webhook's URL is https, with a host, and without user and fragment", hint=hint)
    return parsed


def _retry_after(headers: Sequence[tuple[bytes, bytes]]) -> int:
    """Return the seconds of a Retry-After header, 0 for none or for a date."""
    for name, value in headers:
        if name.lower() == b"retry-after" and value.isdigit() and len(value) <= 6:
            return int(value)
    return 0
