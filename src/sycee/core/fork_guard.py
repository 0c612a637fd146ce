"""The process that an open ledger belongs to.

`os.fork` copies open files, locks and memory into the child, but no thread but the calling one. A child that used its
copy of an open ledger would write over the parent's frames, and could wait forever for a thread that it does not have.
So an object that owns files, locks or threads keeps an `Owner`, and refuses every call in another process.
"""

from __future__ import annotations

import os
import threading
from typing import Final, Protocol
from weakref import WeakSet

from sycee.core.errors import UnavailableError

_HINT: Final = (
    "Nothing was done. Open the ledger in one process only: in the child after the fork, or in the parent alone, whose "
    "children ask it over a pipe or a socket. multiprocessing's `spawn` method copies no open ledger."
)
_forks = 0  # between the first process and this one


class Owner:
    """The process that made this object."""

    __slots__ = ("_forks", "process")

    def __init__(self) -> None:
        self.process: Final = os.getpid()
        self._forks = _forks

    @property
    def is_here(self) -> bool:
        """Whether this is still that process. Costs no system call; a fork that bypasses Python is not seen."""
        return self._forks == _forks

    def check(self, what: str) -> None:
        """Raise UnavailableError in a process that was forked from the owner; `what` names the object, for messages."""
        if self._forks != _forks:
            raise self._refusal(what)

    def check_for_writing(self, *names: object) -> None:
        """Raise like `check`, also after a fork that bypassed Python: one system call, 0.1 µs.

        `names`: parts of the object's path, joined only for the message.
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
# descriptor that no object knows of, and keep the folder locked after its parent's end.
no_fork: Final = threading.RLock()
_holders: Final[WeakSet[HoldsLock]] = WeakSet()


def keep_from_children(holder: HoldsLock) -> None:
    """Close the holder's lock in every forked child. Call it, and change the descriptor, under `no_fork`."""
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
