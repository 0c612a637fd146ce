"""Files of wallets that a load pays from: accounts with their private keys.

The file is JSON that only its owner can read::

    {"ledger_id": "00112233445566778899aabbccddeeff", "currency": "CNY",
     "wallets": [{"account": "0175f0a0-0000-7000-8000-000000000001", "key_epoch": 1, "key": "ann.pem"},
                 {"account": "0175f0a0-0000-7000-8000-000000000002", "key_epoch": 1, "seed": "64 hexadecimal digits"}]}

`key` names a PEM file beside this file; `seed` is that of a synthetic key (`sycee.core.keys.SigningKey.derive`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypedDict

from sycee.core import ids, keys, money
from sycee.core.errors import UsageError
from sycee.core.keys import SigningKey
from sycee.core.secret_files import read_secret, write_secret

FILE_NAME: Final = "wallets.json"  # in a folder that is given instead of a file
FILE_BYTES_MAX: Final = 64 << 20
CURVES: Final = {"Ed25519": "ed25519", "P-256": "p256"}
_HINT: Final = "docs/reference/cli-load.md describes the file of wallets"


@dataclass(frozen=True, slots=True)
class LoadWallet:
    """An account with its private key."""

    account: int
    key_epoch: int
    key: SigningKey


@dataclass(frozen=True, slots=True)
class LoadWallets:
    """Wallets of one ledger and one currency, whose number `currency` is that of ISO 4217."""

    ledger_id: bytes
    currency: int
    wallets: Sequence[LoadWallet]


class SyntheticWallet(TypedDict):
    """A wallet with a synthetic key, as the file contains it."""

    account: str
    key_epoch: int
    curve: str
    seed: str


def read_wallets(path: Path, curve: str) -> LoadWallets:
    """Read the wallets whose keys are of `curve`, from a file, or from FILE_NAME in a folder.

    Raises UsageError for a file of another form, and if fewer than two wallets have such a key.
    """
    file = path / FILE_NAME if path.is_dir() else path
    content = read_secret(
        file,
        what="file of wallets",
        hint=f"give a file of wallets, or a folder with {FILE_NAME}; {_HINT}",
        bytes_max=FILE_BYTES_MAX,
    )
    try:
        members = json.loads(content)
        ledger_id = bytes.fromhex(members["ledger_id"])
        currency = money.currency(members["currency"]).numeric
        rows = [_wallet(row, file.parent, CURVES[curve]) for row in members["wallets"]]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file} is no file of wallets: {type(error).__name__}: {error}", hint=_HINT) from error
    wallets = [row for row in rows if row is not None]
    if len(ledger_id) != 16:
        raise UsageError(f"ledger_id in {file} has {len(ledger_id)} bytes, not 16", hint=_HINT)
    if len(wallets) < 2:
        raise UsageError(
            f"{file} has {len(wallets)} wallets with {curve} keys; a load needs 2", hint="choose another --curve"
        )
    return LoadWallets(ledger_id, currency, wallets)


def write_synthetic_wallets(path: Path, ledger_id: bytes, currency: str, wallets: Sequence[SyntheticWallet]) -> None:
    """Write a new file of wallets with synthetic keys (mode 0600). `curve` is a key of CURVES."""
    members = {"ledger_id": ledger_id.hex(), "currency": currency, "synthetic": True, "wallets": list(wallets)}
    write_secret(path, json.dumps(members).encode())


def _wallet(row: dict[str, Any], folder: Path, algorithm: str) -> LoadWallet | None:
    """Return a wallet, or None if its key is of another algorithm."""
    if "seed" in row:
        if CURVES[row.get("curve", "Ed25519")] != algorithm:
            return None
        key = SigningKey.derive(bytes.fromhex(row["seed"]), algorithm)
    else:
        key = SigningKey.load(folder / row["key"])
        if (key.public.flags == keys.ED25519) != (algorithm == "ed25519"):
            return None
    return LoadWallet(ids.parse(row["account"]), int(row["key_epoch"]), key)
