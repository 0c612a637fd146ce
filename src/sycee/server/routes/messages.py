"""Texts that operators may send to the registrants of a programme."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.programmes.drafts import DRAFT
from sycee.programmes.registrant_texts import FILE_BYTES_MAX
from sycee.programmes.registration_entering import REGISTER
from sycee.server.operations import operation
from sycee.server.routes.common import REPEATED, TheCaller, TheRuntime, hidden
from sycee.server.routes.programmes import Name, Number, require_programme_operator
from sycee.server.signing import ActionBody, Body, Signatures

router = APIRouter(prefix="/v1", tags=["programmes"])


class MessageRow(Body):
    """A text for one state. `open`: placeholders that the operator fills."""

    state: str
    text: str
    open: tuple[str, ...]


class MessageList(Body):
    """Texts in one language."""

    language: str
    rows: tuple[MessageRow, ...]


class MessagesBody(ActionBody):
    """The publisher's file, as TOML; empty for the shipped texts."""

    text: Annotated[str, Field(max_length=FILE_BYTES_MAX)]


class Languages(Body):
    """The languages of a stored file."""

    languages: tuple[str, ...]


@operation(
    router, "GET", "/programmes/{name}/occurrences/{occurrence}/messages", access=REGISTER, response_model=MessageList,
    summary="What operators may tell registrants",
)  # fmt: skip
async def list_messages(
    name: Name, occurrence: Number, caller: TheCaller, runtime: TheRuntime,
    language: Annotated[str, Query(max_length=20, description="Language of the texts, such as en or zh")] = "en",
) -> dict[str, Any]:  # fmt: skip
    """Return the text for each state, with the moments of the occurrence. No text has personal data."""

    def work(bank: Bank) -> dict[str, Any]:
        with hidden("occurrence"):
            found = bank.messages.of(name, occurrence, language=language)
        rows = [{"state": each.state, "text": each.text, "open": each.open} for each in found]
        return {"language": language, "rows": rows}

    return await runtime.call(work)


@operation(
    router, "POST", "/programmes/{name}/messages", access=DRAFT, status_code=201, response_model=Languages,
    responses=REPEATED, summary="Replace the texts for registrants",
)  # fmt: skip
async def replace_messages(name: Name, body: MessagesBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Store the publisher's file of texts for a programme."""
    bank = runtime.bank

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        with hidden("programme"):
            return {"languages": bank.messages.replace(name, body.text, who=caller.person)}

    await runtime.run(require_programme_operator, bank, caller, name)
    return await runtime.perform("programme.messages", caller.person, body, work, place={"name": name})
