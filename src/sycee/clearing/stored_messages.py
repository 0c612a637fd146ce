"""Stored messages, read again from their deliveries. The extra `clearing` is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sycee.clearing.gateway import id_of, kind_of, read_as, unpack
from sycee.clearing.receiving import Place, Receiving
from sycee.core import ids
from sycee.core.errors import IntegrityError, UsageError, require
from sycee.iso20022.messages import Message
from sycee.iso20022.reading import MessageError

_MESSAGES_MAX: Final = 2  # kept: an answer, and the request that it answers


class StoredMessages:
    """Reads messages. It keeps the last two, and the content of the last delivery: neighbours share them.

    `bytes_read`: of all messages that were read and not kept from before, as a measure of work.
    """

    def __init__(self, receiving: Receiving) -> None:
        self._receiving, self._delivery, self.bytes_read = receiving, 0, 0
        self._parts: Sequence[bytes] = ()
        self._messages: dict[int, Message] = {}

    def message(self, number: int) -> Message:
        """Return a stored message. Raises IntegrityError if its delivery does not have it."""
        found = self._messages.pop(number, None)
        if found is None:
            found = self._read(self._receiving.place(number))
        self._messages[number] = found
        if len(self._messages) > _MESSAGES_MAX:
            del self._messages[next(iter(self._messages))]
        return found

    def _read(self, place: Place) -> Message:
        if place.delivery != self._delivery:
            self._parts = unpacked(place.delivery, self._receiving.content(place.delivery))
            self._delivery = place.delivery
        lost = f"the delivery has no {place.kind} with the id {place.business_id}"
        if place.part < 0:
            return _find(self._parts, place, lost)
        require(place.part < len(self._parts), lost)
        self.bytes_read += len(self._parts[place.part])
        try:
            message = read_as(place.kind, self._parts[place.part])
        except MessageError as error:
            raise IntegrityError(f"{lost}: {error.message}") from error
        require(id_of(message) == place.business_id, lost)
        return message


def unpacked(delivery: int, content: bytes) -> list[bytes]:
    """Return the messages of a stored delivery, by its id and its content. Raises IntegrityError if it is damaged."""
    try:
        return unpack(content)
    except UsageError as error:
        raise IntegrityError(f"delivery {ids.format(delivery)} is damaged: {error.message}") from error


def _find(parts: Sequence[bytes], place: Place, lost: str) -> Message:
    """Return the first message of a kind and an id in a delivery. Others there may be wrong: they were refused."""
    for part in parts:
        if kind_of(part) == place.kind:
            try:
                message = read_as(place.kind, part)
            except MessageError:
                continue
            if id_of(message) == place.business_id:
                return message
    raise IntegrityError(lost)
