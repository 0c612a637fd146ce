"""A state as arrays and small values, for a snapshot, and back.

What can be rebuilt is left out: the indices of ids (their keys are random in each process), the heap of time-outs, and
what is zero between frames. Content hashes of bound operations are keyed with the index's key, so that goes along.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import numpy as np

from sycee.core.arrays import Array
from sycee.core.errors import IntegrityError
from sycee.ledger import kernels
from sycee.ledger.layout import KeyFlag, Role
from sycee.ledger.models import Grant
from sycee.ledger.state_tables import StateTables
from sycee.ledger.storage import Section

State = TypeVar("State", bound=StateTables)

# The tables that are saved, and which counter says how much of them is in use.
_COUNTED: Final = {
    "accounts": kernels.ACCOUNTS,
    "purses": kernels.PURSES,
    "movements": kernels.MOVEMENTS,
    "bound": kernels.BOUND,
    "refunds": kernels.REFUNDS,
    "holds": kernels.HOLDS,
    "hold_legs": kernels.HOLD_LEGS,
    "transits": kernels.TRANSITS,
    "batches": kernels.BATCHES,
    "staged": kernels.STAGED,
    "keys": kernels.KEYS,
}
_WHOLE: Final = ("rule_sets", "programmes", "group_rows", "group_bits", "issuance", "calendar")


def save(state: StateTables) -> tuple[dict[str, Array], dict[str, Any]]:
    """(arrays by name, small values that JSON can hold). The arrays are views: the state must stand still meanwhile.

    `storage.SnapshotCopy` is for a state that goes on.
    """
    tables = state.tables
    sections: dict[str, Array] = {
        name: getattr(tables, name)[: tables.counters[counter]] for name, counter in _COUNTED.items()
    }
    sections |= {name: getattr(tables, name) for name in _WHOLE}
    sections["frame_times"] = state.frame_times
    sections["counters"] = tables.counters.copy()
    sections["counters"][kernels.KEEPING] = 0  # a loaded state is within no chain and has no copy under way
    sections["content_key"] = tables.bound_slots[-1:]
    small = {
        "zones": {str(number): zone for number, zone in state.zones.items()},
        "groups": {str(number): order for number, order in state.groups.items()},
        "rule_sets": {str(number): record.hex() for number, record in state.rule_sets.items()},
        "coming": {str(number): record.hex() for number, record in state.coming.items()},
        "grants": [_grant_to_json(grant) for grant in state.grants.values()],
        "authority_on": state.authority_on,
        "rules": state.rules,
        "release": state.release,
        "sequence": state.sequence,
        "movement_digest": state.movement_digest.hex(),
    }
    return {name: np.ascontiguousarray(array.view(np.ndarray)) for name, array in sections.items()}, small


def load(new_state: Callable[[], State], sections: Mapping[str, Section], small: Mapping[str, Any]) -> State:
    """The state that was saved. Raises IntegrityError where something of it is missing or of another shape."""
    state = new_state()
    try:
        key = np.zeros(1, np.uint64)
        sections["counters"].read_into(state.tables.counters)
        sections["content_key"].read_into(key)
        _load_small(state, small)
        for name in (*_COUNTED, "frame_times"):
            state.grow(name, sections[name].shape[0])
        for name in _WHOLE:
            _fit(state, name, sections[name])
        _read(state, sections)
    except (AttributeError, KeyError, ValueError, TypeError) as error:
        raise IntegrityError(f"the snapshot does not hold what this release needs: {error!r}") from error
    state.now_ns = int(state.frame_times[-1])
    state.tables.counters[kernels.TIME_OUTS] = 0
    state.grow("gross", int(state.tables.counters[kernels.ACCOUNTS]))
    state.grow("time_outs", int(state.tables.counters[kernels.HOLDS]))
    state.index(int(key[0]))
    kernels.note_time_outs(state.tables)
    return state


def _read(state: StateTables, sections: Mapping[str, Section]) -> None:
    """Fill all tables."""
    parts = {name: _part(state, name, sections[name].shape[0]) for name in (*_COUNTED, "frame_times", *_WHOLE)}
    state.storage.fill(parts, sections)


def _part(state: StateTables, name: str, rows: int) -> Array:
    part: Array = getattr(state.tables, name)[:rows].view(np.ndarray)
    return part


def _fit(state: StateTables, name: str, section: Section) -> None:
    """Give a table that is saved whole the shape it had."""
    table = getattr(state.tables, name)
    if name in kernels.GROWING:
        state.grow(name, section.shape[0])
    elif table.shape != section.shape:
        state.tables = state.tables._replace(**{name: kernels.seen(np.zeros(section.shape, table.dtype))})


def _load_small(state: StateTables, small: Mapping[str, Any]) -> None:
    state.zones = {int(number): zone for number, zone in small["zones"].items()}
    state.groups = {int(number): order for number, order in small["groups"].items()}
    state.rule_sets = {int(number): bytes.fromhex(record) for number, record in small["rule_sets"].items()}
    state.coming = {int(number): bytes.fromhex(record) for number, record in small["coming"].items()}
    state.grants = {grant.id: grant for grant in map(_grant_from_json, small["grants"])}
    state.authority_on = bool(small["authority_on"])
    state.rules, state.release, state.sequence = int(small["rules"]), str(small["release"]), int(small["sequence"])
    state.movement_digest = bytes.fromhex(small["movement_digest"])


def _grant_to_json(grant: Grant) -> dict[str, Any]:
    return {
        "id": hex(grant.id),
        "person": hex(grant.person),
        "role": int(grant.role),
        "flags": int(grant.flags),
        "key": grant.key.hex(),
        "operator": grant.operator,
        "from_ns": grant.from_ns,
        "until_ns": grant.until_ns,
        "revoked": grant.revoked,
        "currency": grant.currency,
    }


def _grant_from_json(said: Mapping[str, Any]) -> Grant:
    return Grant(
        id=int(said["id"], 16),
        person=int(said["person"], 16),
        role=Role(said["role"]),
        flags=KeyFlag(said["flags"]),
        key=bytes.fromhex(said["key"]),
        operator=int(said["operator"]),
        from_ns=int(said["from_ns"]),
        until_ns=int(said["until_ns"]),
        revoked=bool(said["revoked"]),
        currency=int(said["currency"]),
    )
