"""`sycee key`: generate a signing key, prove its possession, list the keys on a machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from sycee.cli.bank_options import BankFolder, open_bank
from sycee.cli.terminal import note, print_table, show_json, table

app = App(name="key", help="Generate signing keys, prove their possession, and list those on a bank's machine.")


@app.command
def new(
    file: Annotated[Path, Parameter(help="New file for the private key, which its owner alone can read.")],
    /,
    *,
    p256: Annotated[bool, Parameter(negative="", help="Use ECDSA on P-256, which most secure hardware supports.")] = (
        False
    ),
) -> int:
    """Generate a signing key from this machine's entropy, and print its public key.

    The algorithm is Ed25519 unless --p256 is given. The file has no password. The public key may be published.
    """
    from sycee.core.keys import SigningKey

    key = SigningKey.generate("p256" if p256 else "ed25519")
    key.save(file)
    # The key remains usable if its owner learns the public key.
    left = f"the private key is in {file}, and its public key is {key.public}"
    try:
        print(key.public, flush=True)
    except OSError:
        note(f"note: {left}")
        raise
    except KeyboardInterrupt:
        raise KeyboardInterrupt(left) from None
    return 0


@app.command(name="list")
def list_(
    folder: BankFolder,
    /,
    *,
    json: Annotated[bool, Parameter(negative="", help="Print one JSON object to stdout.")] = False,
) -> int:
    """List the private keys on the bank's machine, with what each may sign.

    A server needs the key of operator 0 alone, whose accounts hold no money of customers. Keep all others elsewhere.
    """
    from sycee.core import ids

    with open_bank(folder) as bank:
        found = bank.key_files.list()
    if json:
        rows = [
            {
                "file": str(each.path),
                "subject": ids.format(each.subject),
                "key": str(each.key),
                "signs": list(each.signs),
                "expected": each.expected,
            }
            for each in found
        ]
        show_json({"keys": rows})
    else:
        made = table("signs for", "key", "file")
        for each in found:
            made.add_row(", ".join(each.signs) or "nothing now", str(each.key), str(each.path))
        print_table(made)
    if unneeded := [each for each in found if not each.expected]:
        note(f"note: {len(unneeded)} of these keys should not be here: a server needs the key of operator 0 alone")
    return 0


@app.command
def prove(
    file: Annotated[Path, Parameter(help="File with the new private key.")],
    /,
    *,
    ledger: Annotated[str, Parameter(help="Id of the ledger, 32 hexadecimal digits.")],
    account: Annotated[str, Parameter(help="Id of the account that gets the key.")],
    epoch: Annotated[str, Parameter(help="Key epoch with the new key: the present one plus 1.")],
) -> int:
    """Prove to an operator that you have the private key that your account is to get: print a signature.

    The proof is for one account and one epoch, and moves no money.
    """
    from sycee.core import ids
    from sycee.core.errors import UsageError
    from sycee.core.keys import SigningKey
    from sycee.identity.key_register import proof_message

    if not epoch.isascii() or not epoch.isdigit() or not 0 < int(epoch[:11]) < 1 << 32:
        raise UsageError(f"{epoch!r} is not a key epoch", hint="the operator tells you the number: 1 for a first key")
    try:
        ledger_id = bytes.fromhex(ledger)
    except ValueError as error:
        raise UsageError(f"{ledger!r} is not the id of a ledger", hint="give 32 hexadecimal digits") from error
    key = SigningKey.load(file)
    print(key.sign(proof_message(ledger_id, ids.parse(account), int(epoch), key.public)).hex())
    return 0
