"""Parameters and steps that the commands about persons share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import Parameter

from sycee.cli.bank_options import load_keys
from sycee.core.errors import UsageError

if TYPE_CHECKING:
    from sycee.bank.bank import Bank
    from sycee.core.keys import PublicKey, SigningKey
    from sycee.personal.access import Access

PersonId: TypeAlias = Annotated[str, Parameter(help="Id of the person, as UUID text.")]
WalletId: TypeAlias = Annotated[str, Parameter(help="Id of the wallet's account, as UUID text.")]
CaseNumber: TypeAlias = Annotated[str, Parameter(name="--case", help="Number of the open case.")]
ReasonName: TypeAlias = Annotated[
    str, Parameter(help="Why: complaint, dispute, recovery, deceased, court-order, due-diligence or own-request.")
]


def case_number(text: str) -> int:
    """Return the number in the text of --case; 0 for an empty one."""
    if not text:
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise UsageError(f"--case {text[:40]!r} is not the number of a case", hint="write digits only, such as 12")
    return int(text)


def one_key(files: Sequence[Path] | None) -> SigningKey:
    """Return the only key in files. Raises UsageError for none or several."""
    keys = load_keys(files)
    if len(keys) != 1:
        raise UsageError(f"one key is needed, and {len(keys)} were given", hint="name the file of your key with --key")
    return keys[0]


def person_with(bank: Bank, key: SigningKey) -> int:
    """Return the person who signs with a key: by a duty, or as the holder of the wallet with this key."""
    try:
        return bank.people.person_of_key(key.public)
    except UsageError:
        return bank.life.holder_with(key.public)


def access_of(bank: Bank, key: SigningKey, reason: str, case: str) -> Access:
    """Return the access that the options describe."""
    from sycee.personal.access import Access, Reason

    if reason not in list(Reason):
        raise UsageError(
            f"--reason {reason[:40]!r} is not a reason to read personal data", hint=f"use one of: {', '.join(Reason)}"
        )
    return Access(person_with(bank, key), Reason(reason), case_number(case))


def chosen_key(text: str, proof: str, prove: Callable[[SigningKey], bytes]) -> tuple[PublicKey, bytes]:
    """Return the new public key of a wallet and the proof that its owner has it.

    `text`, of --new-key: the file of a private key, from which `prove` makes the proof; with `proof` a public key.
    """
    from sycee.cli.bank_options import named_key
    from sycee.core.keys import SigningKey

    if proof:
        try:
            return named_key(text), bytes.fromhex(proof)
        except ValueError as error:
            raise UsageError("--proof is not hexadecimal digits", hint="a proof has 128 digits") from error
    if not Path(text).is_file():
        raise UsageError("--new-key is no file, and there is no --proof", hint="give the signature of the new key")
    private = SigningKey.load(text)
    return private.public, prove(private)


def wrong_kind(kind: str, kinds: str) -> UsageError:
    """Return the error for a kind of block that is not one of `kinds`."""
    return UsageError(f"--kind {kind[:40]!r} is not a kind of block", hint=f"use {kinds}")
