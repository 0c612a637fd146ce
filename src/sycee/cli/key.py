"""`sycee key`: make a signing key."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

app = App(name="key", help="Make a signing key.")


@app.command
def new(
    file: Annotated[Path, Parameter(help="Where the private key goes: a new file that its owner alone can read.")],
    /,
    *,
    p256: Annotated[bool, Parameter(negative="", help="ECDSA on P-256, as most secure hardware has it.")] = False,
) -> int:
    """Make a signing key from this machine's entropy, and print its public key, which may be shown to anybody.

    Ed25519, unless --p256 is given. The file is not protected by a password.
    """
    from sycee.core.keys import SigningKey

    key = SigningKey.generate("p256" if p256 else "ed25519")
    key.save(file)
    try:
        print(key.public, flush=True)
    except OSError:
        # The key stays: who has it can use it, once somebody knows its public half.
        sys.stderr.write(f"note: the private key is in {file}, and its public key is {key.public}\n")
        raise
    return 0
