"""Conversion of a state to the arrays and small values of a snapshot, and back.

A snapshot omits what can be rebuilt: indexes of ids (their keys are random in each process), the heap of time-outs, and
tables that are zero between frames. It includes the key of the content hashes of bound operations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any, Final, TypeVar

import numpy as np

from sycee.core.arrays import Array
from sycee.core.errors import IntegrityError
from sycee.core.records.layout import KeyFlag, Role
from sycee.ledger import kernels
from sycee.ledger.kernels import constants, indexes
from sycee.ledger.models import Grant
from sycee.ledger.state_tables import StateTables
from sycee.ledger.storage import Section

State = TypeVar("State", bound=StateTables)

_WHOLE: Final = ("rule_sets", "programmes", "group_rows", "group_bits", "issuance", "calendar")


def save(state: StateTables) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return (arrays by name, small values that JSON can hold). The arrays are views: apply no frame while using them.

    `storage.SnapshotCopy` copies a state while frames are applied.
    """
    tables = state.tables
    sections: dict[str, Array] = {
        name: getattr(tables, name)[: tables.counters[counter]] for name, counter in constants.SAVED_TABLES.items()
    }
    sections |= {name: getattr(tables, name) for name in _WHOLE}
    sections["frame_times"] = state.frame_times
    sections["counters"] = tables.counters.copy()
    sections["counters"][constants.PREIMAGE_MODE] = 0  # a loaded state needs no pre-images
    sections["content_key"] = tables.unordered_slots[-1:]
    small = {
        "zones": {str(number): zone for number, zone in state.zones.items()},
        "groups": {str(number): order for number, order in state.groups.items()},
        "rule_sets": {str(number): record.hex() for number, record in state.rule_sets.items()},
        "scheduled": {str(number): record.hex() for number, record in state.scheduled_rule_sets.items()},
        "grants": [_grant_to_json(grant) for grant in state.grants.values()],
        "authority_on": state.authority_on,
        "rules": state.rules,
        "release": state.release,
        "sequence": state.sequence,
        "movement_digest": state.movement_digest.hex(),
    }
    return {name: np.ascontiguousarray(array.view(np.ndarray)) for name, array in sections.items()}, small


def load(new_state: Callable[[], State], sections: Mapping[str, Section], small: Mapping[str, Any]) -> State:
    """Return the saved state. Raise IntegrityError if a part is missing or has another shape."""
    state = new_state()
    try:
        key = np.zeros(1, np.uint64)
        sections["counters"].read_into(state.tables.counters)
        sections["content_key"].read_into(key)
        _load_small(state, small)
        grown = (*constants.SAVED_TABLES, "frame_times")
        for name in grown:
            state.grow(name, sections[name].shape[0])
        for name in _WHOLE:
            _fit(state, name, sections[name])
        parts = {
            name: getattr(state.tables, name)[: sections[name].shape[0]].view(np.ndarray) for name in (*grown, *_WHOLE)
        }
        state.storage.fill(parts, sections)
    except (AttributeError, KeyError, ValueError, TypeError) as error:
        raise IntegrityError(f"the snapshot does not contain what this release needs: {error!r}") from error
    state.now_ns = int(state.frame_times[-1])
    state.tables.counters[constants.TIME_OUTS] = 0
    state.grow("gross", int(state.tables.counters[constants.ACCOUNTS]))
    state.grow("time_outs", int(state.tables.counters[constants.HOLDS]))
    state.rebuild_indexes(int(key[0]))
    indexes.fill_time_outs(state.tables)
    state.grow("undropped", state.tables.programmes.size)
    indexes.count_undropped(state.tables, state.now_ns)
    return state


def readable(sections: Mapping[str, Array], small: Mapping[str, Any]) -> StateTables:
    """Return the saved state over these arrays, without a copy and without indexes: `digest` and `supply` need none."""
    state = StateTables()
    names = (*constants.SAVED_TABLES, *_WHOLE, "frame_times")
    views = {name: kernels.kernel_view(sections[name]) for name in names}
    state.tables = state.tables.replaced(counters=sections["counters"], **views)
    _load_small(state, small)
    return state


def _fit(state: StateTables, name: str, section: Section) -> None:
    """Give a table that is saved whole the shape of its section."""
    table = getattr(state.tables, name)
    if name in kernels.GROWING_TABLES:
        state.grow(name, section.shape[0])
    elif table.shape != section.shape:
        state.tables = state.tables.replaced(**{name: kernels.kernel_view(np.zeros(section.shape, table.dtype))})


def _load_small(state: StateTables, small: Mapping[str, Any]) -> None:
    state.zones = {int(number): zone for number, zone in small["zones"].items()}
    state.groups = {int(number): order for number, order in small["groups"].items()}
    state.rule_sets = {int(number): bytes.fromhex(record) for number, record in small["rule_sets"].items()}
    state.scheduled_rule_sets = {int(number): bytes.fromhex(record) for number, record in small["scheduled"].items()}
    state.grants = {grant.id: grant for grant in map(_grant_from_json, small["grants"])}
    state.authority_on = bool(small["authority_on"])
    state.rules, state.release, state.sequence = int(small["rules"]), str(small["release"]), int(small["sequence"])
    state.movement_digest = bytes.fromhex(small["movement_digest"])


def _grant_to_json(grant: Grant) -> dict[str, Any]:
    return asdict(grant) | {"id": hex(grant.id), "person": hex(grant.person), "key": grant.key.hex()}


def _grant_from_json(saved: Mapping[str, Any]) -> Grant:
    values = {field.name: saved[field.name] for field in fields(Grant)}
    values |= {"id": int(saved["id"], 16), "person": int(saved["person"], 16), "key": bytes.fromhex(saved["key"])}
    return Grant(**values | {"role": Role(saved["role"]), "flags": KeyFlag(saved["flags"])})
