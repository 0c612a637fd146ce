"""The socket of a server, and what it answers before the bank is open.

Recovery of a large ledger takes a while. Meanwhile `/healthz` is answered 200 and every other path 503, so that a
supervisor does not restart the process and a load balancer sends it nothing.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import stat
import threading
from pathlib import Path
from typing import Final, Self

from sycee.core.errors import UnavailableError, UsageError
from sycee.server.problems import MEDIA_TYPE, Problem

UNIX: Final = "unix:"
BACKLOG: Final = 2_048
SOCKET_MODE: Final = 0o660  # of a Unix socket: the proxy's user is in this user's group
_POLL_S: Final = 0.05
_READ_S: Final = 0.5
_HEADER_BYTES: Final = 4_096


def listen(address: str) -> socket.socket:
    """Return a listening socket for the setting `http_address`: HOST:PORT, or unix:PATH.

    Raises UnavailableError if another process listens there, or this user may not.
    """
    if address.startswith(UNIX):
        return _listen_unix(Path(address.removeprefix(UNIX)))
    host, _, port = address.rpartition(":")
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, OverflowError) as error:
        raise _refused(address, error) from error
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(place)
    except OSError as error:
        made.close()
        raise _refused(address, error) from error
    made.listen(BACKLOG)
    return made


def _listen_unix(path: Path) -> socket.socket:
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(path.stat().st_mode) and not _answers(path):
            path.unlink()  # of a server that was killed
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.bind(str(path))
        path.chmod(SOCKET_MODE)
    except OSError as error:
        made.close()
        raise _refused(str(path), error) from error
    made.listen(BACKLOG)
    return made


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(path)) == 0


def _refused(address: str, error: Exception) -> Exception:
    if isinstance(error, socket.gaierror | OverflowError):
        return UsageError(f"{address} is no address: {error}", hint="http_address is HOST:PORT, or unix:PATH")
    hint = "stop the other process, or choose another address: SYCEE_HTTP_ADDRESS=127.0.0.1:8500"
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM):
        hint = "choose a port above 1023, or a folder that this user may write"
    return UnavailableError(f"the server cannot listen on {address}: {getattr(error, 'strerror', error)}", hint=hint)


class Starting:
    """Answers requests on a socket without TLS while a `with` block opens the bank."""

    def __init__(self, listening: socket.socket) -> None:
        self._socket = listening
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="sycee-starting", daemon=True)

    def __enter__(self) -> Self:
        self._socket.settimeout(_POLL_S)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()
        self._socket.setblocking(False)

    def _serve(self) -> None:
        while not self._is_over.is_set():
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(_READ_S)
                connection.sendall(_answer(connection.recv(_HEADER_BYTES)))


def _answer(request: bytes) -> bytes:
    if request.startswith(b"GET /healthz "):
        return _response("200 OK", "application/json", {"status": "alive"})
    problem = Problem("unavailable", "the server is starting", hint="send the request again in a moment")
    return _response("503 Service Unavailable", MEDIA_TYPE, problem.document(os.urandom(8).hex()))


def _response(status: str, media_type: str, members: object) -> bytes:
    body = json.dumps(members).encode()
    head = (
        f"HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {len(body)}\r\n"
        "retry-after: 1\r\ncache-control: no-store\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
