"""Keys on other machines that sign messages of 32 bytes: aliases, requests to pay, mandates and packs of days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sycee.core.errors import SyceeError, UsageError
from sycee.core.keys import PublicKey


class MessageSignatureNeeded(SyceeError):
    """The owner of a key has not signed this message yet; nothing was changed. `unsigned`: its 32 bytes.

    `document`: the subject of the message, for the signer to check; None where the request has it all.
    """

    def __init__(self, key: PublicKey, message: bytes) -> None:
        super().__init__("the message is not signed", hint="sign it, and send the request again with the signature")
        self.key = key
        self.unsigned = message
        self.document: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class RemoteKey:
    """A key whose private part is elsewhere. `signature`: made there, empty if it is not made yet."""

    public: PublicKey
    signature: bytes = b""

    def sign(self, message: bytes) -> bytes:
        """Return the signature.

        Raises MessageSignatureNeeded without one, and UsageError for a signature of another message or key.
        """
        if not self.signature:
            raise MessageSignatureNeeded(self.public, message)
        if not self.public.verifies(self.signature, message):
            raise UsageError(
                f"the signature is not of {self.public} for this request",
                hint="send the request without a signature: the answer has the message to sign",
            )
        return self.signature
