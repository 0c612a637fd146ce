"""The pack of a closed day with its checkpoint, and its signing with keys here and elsewhere."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Self

from sycee.core.errors import UsageError
from sycee.core.keys import SigningKey
from sycee.core.records import day_packs
from sycee.core.records.day_packs import DayPack, PackSignature, message
from sycee.identity.remote_key import MessageSignatureNeeded, RemoteKey
from sycee.sequencer.checkpoint import Checkpoint


class Pack(DayPack):
    """A pack whose checkpoint is read."""

    @property
    def checkpoint(self) -> Checkpoint:
        """Return the checkpoint; its signature is all zeros if no witness signed it."""
        return Checkpoint.parse(json.dumps(self.body["checkpoint"]), f"the checkpoint of {self.body['day']}")

    @property
    def is_witnessed(self) -> bool:
        """Return whether the checkpoint is signed by a witness rather than covered by the closer's signature alone."""
        return any(self.checkpoint.signature)

    def signed(self, duty: str, person: int, key: SigningKey | RemoteKey) -> Pack:
        """Return the pack with one more signature. Raises the errors of the key."""
        made = PackSignature(duty, person, key.public, self._signature(key, duty, person))
        return replace(self, signatures=(*self.signatures, made))

    def _signature(self, key: SigningKey | RemoteKey, duty: str, person: int) -> bytes:
        try:
            return key.sign(message(self.digest, duty, person))
        except MessageSignatureNeeded as needed:
            needed.document = self.body  # the signer checks what the message is about
            raise

    @classmethod
    def parse(cls, content: str | bytes, file: str) -> Self:
        """Parse the content of a file, with its checkpoint. Raises UsageError as `DayPack.parse`."""
        made = super().parse(content, file)
        try:
            made.checkpoint  # noqa: B018
        except UsageError as error:
            raise day_packs.invalid(file, str(error)) from error
        return made
