"""`sycee key`: generate a signing key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from sycee.cli.terminal import note

app = App(name="key", help="Generate a signing key.")


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
    try:
        print(key.public, flush=True)
    except OSError:
        # The key remains usable if its owner learns the public key.
        note(f"note: the private key is in {file}, and its public key is {key.public}")
        raise
    return 0
