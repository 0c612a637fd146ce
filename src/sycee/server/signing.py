"""Actions over HTTP whose records are signed on the caller's machine.

The caller sends an action with a fresh id. The answer 202 contains the records to sign; nothing was changed. The
caller decodes and checks the records, signs them, and sends the same request with the envelopes. The ids inside the
records follow from the id of the request, so that both requests give the same records.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, TypeVar

from blake3 import blake3
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.engine import Connection

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.canonical_json import canonical
from sycee.core.errors import UsageError
from sycee.core.limits import ENVELOPE_BYTES, I64_MAX
from sycee.core.records import envelopes as sealed
from sycee.core.records.envelopes import Envelope
from sycee.database.transactions import Also
from sycee.identity.remote_key import MessageSignatureNeeded
from sycee.sequencer.signer import RemoteSigner, SignatureNeeded, Signer

T = TypeVar("T")

ID_PATTERN: Final = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
ENVELOPES_MAX: Final = 6_000  # of the parts of the largest drop; with them a body is below 1 MiB
_DIGEST_CONTEXT: Final = "sycee 2026-11-27 requests: digest of the content"

Id = Annotated[str, Field(pattern=ID_PATTERN, examples=["01930e2c-5a00-7abc-8def-0123456789ab"])]
# Texts, since some readers of JSON have 53 bits of precision.
Minor = Annotated[
    str, Field(pattern=r"^[1-9][0-9]{0,18}$", description="Minor units of the currency", examples=["1250"])
]
Nanoseconds = Annotated[
    str, Field(pattern=r"^[0-9]{1,19}$", description="Since 1970-01-01T00:00:00Z", examples=["1793577600000000000"])
]


class Body(BaseModel):
    """The body of a request. Unknown members are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ActionBody(Body):
    """The body of an action: its id, which is its idempotency key, and the envelopes once they are made."""

    id: Id
    envelopes: Annotated[
        tuple[Annotated[str, Field(max_length=4 * -(-ENVELOPE_BYTES // 3))], ...],
        Field(max_length=ENVELOPES_MAX, description="Base64 of the 104 bytes of each envelope"),
    ] = ()

    @property
    def number(self) -> int:
        """Return the id as a number."""
        return ids.parse(self.id)


def integer_of(text: str) -> int:
    """Return the integer of a Minor or Nanoseconds. Raises UsageError for more than 63 bits."""
    number = int(text)
    if number > I64_MAX:
        raise UsageError(f"{text} does not fit 63 bits", hint="amounts and times are at most 2^63 - 1")
    return number


class SignerToAsk(Body):
    """A signer whose envelope is missing: a person (`currency` 0) or an account, with its key."""

    id: Id
    currency: int
    key_epoch: int
    key: str


class ToSign(Body):
    """The records that an action needs signed: base64 of 128 bytes each, and what they mean, one line for each.

    `parts`: how many consecutive records each envelope covers; without it, one envelope covers all.
    """

    records: str
    parts: tuple[int, ...] | None = None
    lines: tuple[str, ...]
    ledger_id: str
    valid_until_ns: Nanoseconds
    signers: tuple[SignerToAsk, ...]


class SignatureRequest(Body):
    """The answer 202: nothing was changed; sign, and send the request again with the envelopes."""

    to_sign: ToSign


class MessageBody(ActionBody):
    """The body of an action whose signature is over a message of 32 bytes, not over records."""

    signature: Annotated[str, Field(pattern=r"^([0-9a-f]{128})?$", description="Hexadecimal; see the answer 202")] = ""

    @property
    def signature_bytes(self) -> bytes:
        """Return the signature; empty without one."""
        return bytes.fromhex(self.signature)


class MessageToSign(Body):
    """A message of 32 bytes, in hexadecimal, and the public key whose owner signs it.

    `document`: the subject of the message, where the request alone does not define it.
    """

    message: str
    key: str
    document: dict[str, Any] | None = None


class MessageRequest(Body):
    """The answer 202: nothing was changed; sign the message, and send the request again with the signature."""

    message_to_sign: MessageToSign


@dataclass(slots=True)
class Signatures:
    """The envelopes of one request, and the signers that its service was given.

    `store_answer` stores the request with its answer in a transaction; `is_stored`: whether it was called.
    """

    bank: Bank
    given: tuple[Envelope, ...]
    store_answer: Callable[[Connection, Mapping[str, Any]], None]
    asked: list[RemoteSigner] = field(default_factory=list)
    is_stored: bool = False

    def answered(self, answer: Mapping[str, Any]) -> Also:
        """Return a write that stores the request's answer in the transaction of its change.

        For a change of SQL alone that cannot be repeated: after a crash the request that is sent again finds the
        answer. `work` of `perform` returns the same answer.
        """
        return lambda connection: self._store(connection, answer)

    def answering(self, answer: Callable[[T], Mapping[str, Any]]) -> Callable[[Connection, T], None]:
        """Return a write as that of `answered`, for an answer that follows from the outcome of the change."""
        return lambda connection, outcome: self._store(connection, answer(outcome))

    def _store(self, connection: Connection, answer: Mapping[str, Any]) -> None:
        self.store_answer(connection, answer)
        self.is_stored = True

    def person(self, person: int) -> Sequence[Signer]:
        """Return a person as the signer. Raises UsageError for a person without a role."""
        signer = self.bank.remote_signer_of_person(person, self.given)
        self.asked.append(signer)
        return (signer,)

    def account(self, account: int, *, custodian: int = 0) -> Sequence[Signer]:
        """Return an account as the signer, or for an account without a key the person `custodian`."""
        signer = self.bank.remote_signer_of_account(account, self.given)
        if signer is None:
            return self.person(custodian)
        self.asked.append(signer)
        return (signer,)

    def request(self, needed: SignatureNeeded) -> JSONResponse:
        """Return the answer 202 for records that are not signed."""
        missing = [signer for signer in self.asked if not needed.is_signed_by(signer)]
        owners = {signer.id for signer in self.asked if signer.currency}
        # The owner of a wallet does not learn from the decoded lines which other accounts exist.
        among = owners if len(owners) == len(self.asked) else None
        answer = SignatureRequest(
            to_sign=ToSign(
                records=base64.b64encode(needed.records.tobytes()).decode(),
                parts=tuple(needed.parts) or None,
                lines=tuple(self.bank.proposals.lines_of(needed.records, among)),
                ledger_id=needed.ledger_id.hex(),
                valid_until_ns=str(needed.valid_until_ns),
                signers=tuple(
                    SignerToAsk(
                        id=ids.format(signer.id),
                        currency=signer.currency,
                        key_epoch=signer.key_epoch,
                        key=str(signer.public_key),
                    )
                    for signer in missing
                ),
            )
        )
        return JSONResponse(answer.model_dump(), 202)


def perform(
    bank: Bank,
    name: str,
    who: int,
    body: ActionBody,
    work: Callable[[Signatures], Mapping[str, Any]],
    *,
    place: Mapping[str, Any] | None = None,
) -> JSONResponse:
    """Perform an action once; return 201 with its answer, 200 with the first answer, or 202 with what to sign.

    `work` calls the service, and returns an answer without personal data. `place`: parameters of the path. Requests
    with one id wait for each other. Raises the errors of `work`, and RequestConflict if the id belongs to another
    request or another caller.
    """
    id = body.number
    if not id:
        raise UsageError("the id of an action is not zero", hint="choose a fresh id, such as a UUID of version 7")
    content = {"body": body.model_dump(mode="json", exclude={"envelopes", "signature"}), "place": dict(place or {})}
    digest = blake3(
        canonical(content), key=blake3(bank.personal_keys.hash_key, derive_key_context=_DIGEST_CONTEXT).digest()
    ).hexdigest()

    def store_answer(connection: Connection, answer: Mapping[str, Any]) -> None:
        bank.stored_requests.store(connection, id, who, name, digest, answer)

    signatures = Signatures(bank, tuple(map(_envelope, body.envelopes)), store_answer)
    with bank.stored_requests.alone(id):
        if (answer := bank.stored_requests.find(id, who, name, digest)) is not None:
            return JSONResponse(answer, 200)
        if signatures.given:
            bank.stored_requests.begin(id, who, name, digest)
        try:
            with ids.derived_from(id):
                made = work(signatures)
        except SignatureNeeded as needed:
            return signatures.request(needed)
        except MessageSignatureNeeded as asked:
            document = None if asked.document is None else dict(asked.document)
            message = MessageToSign(message=asked.unsigned.hex(), key=str(asked.key), document=document)
            return JSONResponse(MessageRequest(message_to_sign=message).model_dump(), 202)
        if not signatures.is_stored:
            if not signatures.given:
                bank.stored_requests.begin(id, who, name, digest)
            bank.stored_requests.finish(id, made)
        return JSONResponse(made, 201)


def _envelope(text: str) -> Envelope:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise UsageError("an envelope is not base64", hint="encode its 104 bytes") from error
    if len(raw) != ENVELOPE_BYTES:
        raise UsageError(f"an envelope has {len(raw)} bytes, not {ENVELOPE_BYTES}")
    row = sealed.decode(raw)[0]
    return Envelope(
        first=int(row["first"]),
        count=int(row["count"]),
        flags=int(row["flags"]),
        currency=int(row["currency"]),
        key_epoch=int(row["key_epoch"]),
        signer=sealed.signer_of(row),
        valid_until_ns=int(row["valid_until_ns"]),
        signature=row["signature"].tobytes(),
    )
