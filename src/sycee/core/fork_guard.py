"""Refusal of objects that were opened before a fork.

`os.fork` copies open files, locks and memory into the child, but only the calling thread. A child that used its copy of
an open ledger would overwrite the parent's frames, and could wait forever for a thread that it lacks. So an object that
owns files, locks or threads has an `Owner`, and refuses every call in another process.
"""

from __future__ import annotations

import os
import threading
from typing import Final, Protocol
from weakref import WeakSet

from sycee.core.errors import UnavailableError

_HINT: Final = (
    "Nothing was changed. Open the ledger in one process only: in the child after the fork, or in the parent, to which "
    "children send requests over a pipe or a socket. multiprocessing's `spawn` method copies no open ledger."
)
_forks = 0  # between the first process and this one


class Owner:
    """The process that created this object."""

    __slots__ = ("_forks", "process")

    def __init__(self) -> None:
        self.process: Final = os.getpid()
        self._forks = _forks

    @property
    def is_here(self) -> bool:
        """Whether this is still that process. Needs no system call, but misses a fork that bypasses Python."""
        return self._forks == _forks

    def check(self, what: str) -> None:
        """Raise UnavailableError in a fork of the owner; `what` is the object's name for messages."""
        if self._forks != _forks:
            raise self._refusal(what)

    def check_for_writing(self, *names: object) -> None:
        """Raise like `check`, also after a fork that bypassed Python: one system call, 0.1 µs.

        `names`: parts of the object's path for the message.
        """
        if os.getpid() != self.process:
            raise self._refusal("/".join(map(str, names)))

    def _refusal(self, what: str) -> UnavailableError:
        return UnavailableError(
            f"{what} was opened by the process with pid {self.process}; this is its forked child, with pid "
            f"{os.getpid()}, which may not use it",
            hint=_HINT,
        )


class HoldsLock(Protocol):
    """An object that locks a folder with flock."""

    def close_lock(self) -> None:
        """Close the lock's descriptors without unlocking: the lock belongs to the open file, which a child shares."""


# Held while a descriptor of a lock is opened or closed. A fork waits for it: otherwise the child could have a
# descriptor that belongs to no object, and the folder would stay locked after the parent's end.
no_fork: Final = threading.RLock()
_holders: Final[WeakSet[HoldsLock]] = WeakSet()


def close_in_children(holder: HoldsLock) -> None:
    """Close the holder's lock in every forked child. Hold `no_fork` for the call and when changing the descriptor."""
    _holders.add(holder)


def _after_in_child() -> None:
    global _forks
    _forks += 1
    try:
        for holder in list(_holders):
            holder.close_lock()
    finally:
        no_fork.release()


os.register_at_fork(before=no_fork.acquire, after_in_parent=no_fork.release, after_in_child=_after_in_child)
