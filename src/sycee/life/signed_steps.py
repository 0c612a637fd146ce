"""Later steps of an event, signed at its start: their key need not be on this machine when they are due.

A step is one record with its envelopes, stored in the payload of a job as hexadecimal digits. Neither is a secret: an
envelope permits this record, under this id, until its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sycee.core.arrays import Array
from sycee.core.records.envelopes import ENVELOPE, as_array
from sycee.core.records.layout import OPERATION
from sycee.sequencer.signer import Signer, sign_records


def make(records: Array, ledger_id: bytes, signers: Sequence[Signer], until_ns: int) -> dict[str, str]:
    """Return a step: records, (n,) OPERATION, with an envelope of each signer that is valid until `until_ns`."""
    envelopes = as_array(sign_records(records, ledger_id, signers, until_ns))
    return {"records": records.tobytes().hex(), "envelopes": envelopes.tobytes().hex()}


def read(step: Mapping[str, Any]) -> tuple[Array, Array]:
    """Return the records and the envelopes of a step."""
    records = np.frombuffer(bytes.fromhex(step["records"]), OPERATION)
    return records, np.frombuffer(bytes.fromhex(step["envelopes"]), ENVELOPE)
