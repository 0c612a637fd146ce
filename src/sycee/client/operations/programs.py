"""Programs, logins of customers, and webhooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from sycee.client.calls import (
    Call,
    Members,
    Page,
    action,
    fresh_id,
    listed,
    message_action,
    read,
    require_same,
    rows,
    value,
)
from sycee.client.exchange import Conversation, Request, Session
from sycee.client.operations.arguments import ledger_of, name_of
from sycee.client.signing import Asked, Signer
from sycee.client.values import DeadLetter, FirstUse, Invitation, InvitationRow, Program, Proposed, Webhook
from sycee.client.webhooks import public_key
from sycee.core import canonical_json, ids
from sycee.core.keys import PublicKey

REGISTRATION: Final = "sycee.client.v1"


def clients() -> Call[Sequence[Program]]:
    """Return the programs that the caller may revoke, oldest first."""
    program = value(Program)
    return read("/v1/clients", lambda members: tuple(map(program, members["clients"])))


def register_client(
    person: int | str,
    name: str,
    key: PublicKey,
    officer: Signer,
    *,
    operator: int | None = None,
    read_only: bool = False,
    id: int = 0,
) -> Call[str]:
    """Register a program of a person who has a duty, and return its id. The officer's own key signs every field.

    `key`: of the program. `operator`: the number of the operator that the duty is for.
    """
    scopes = ["read"] if read_only else ["read", "write"]
    fields = {"person": name_of(person), "name": name, "public_key": str(key), "operator": operator, "scopes": scopes}

    def message(session: Session, number: int, _: Asked) -> Conversation[bytes]:
        ledger_id, _currency = yield from ledger_of(session)
        return canonical_json.digest(
            {
                "message": REGISTRATION,
                "ledger": ledger_id.hex(),
                "client": ids.format(number),
                "by": ids.format(officer.id),
                **fields,
            }
        )

    number = id or fresh_id()
    return message_action(
        "/v1/clients",
        {**fields, "key": str(officer.key.public)},
        _same("client", ids.format(number)),
        message=message,
        signers=(officer,),
        id=number,
    )


def revoke_client(client: int | str, *, id: int = 0) -> Call[str]:
    """End a program and its tokens immediately; return its id. Its key cannot be registered again."""
    return _ended(f"/v1/clients/{name_of(client)}/revocation", name_of(client), id)


def invite(person: int | str, *, hours: int = 24, id: int = 0) -> Call[Invitation]:
    """Return the first half of a code with which a customer creates a login, once; the phone gets the second half.

    The half is in the first answer only. Raises InvalidRequest for a customer who has, or had, a login, and for one
    whom no message reaches: `recover_login`.
    """
    return action("/v1/invitations", {"person": name_of(person), "hours": hours}, value(Invitation), id=id)


def invitations() -> Call[Page[InvitationRow]]:
    """Return the invitations of persons whose logins the caller may end, oldest first, without their codes."""
    return listed("/v1/invitations", value(InvitationRow))


def revoke_invitation(invitation: int | str, *, id: int = 0) -> Call[str]:
    """End a code that was not used yet; return its invitation."""
    return _ended(f"/v1/invitations/{name_of(invitation)}/revocation", name_of(invitation), id)


def end_logins(person: int | str, *, id: int = 0) -> Call[str]:
    """End all sessions, passkeys and open invitations of a person; return the person."""
    return _ended(f"/v1/persons/{name_of(person)}/logins/end", name_of(person), id)


def recover_login(person: int | str, reason: str, *, letter: bool = False, id: int = 0) -> Call[Proposed]:
    """Propose that a person who lost every login, or has no phone, is invited again. Another person signs.

    The person is told at once; a waiting time runs from the approval on. `reason`: how the identity was proved, without
    names, numbers and addresses. `letter`: permit a letter with the second half of the code.
    """
    body = {"reason": reason, "letter": letter}
    return action(f"/v1/persons/{name_of(person)}/logins/recovery", body, value(Proposed), id=id)


def logins() -> Call[Page[FirstUse]]:
    """Return the first use of each login, by the id of the login: who invited it, and whether the staff was near."""
    return listed("/v1/logins", value(FirstUse))


# --- webhooks ---


def webhook(url: str, *, types: Sequence[str] = (), after: str = "", id: int = 0) -> Call[str]:
    """Let the server send events to a URL, later ones or those after a place; return the webhook's id.

    `types`: empty for all events that the program may see.
    """
    number = id or fresh_id()
    body = {"url": url, "types": list(types), "after": after}
    return _ended("/v1/webhooks", ids.format(number), number, body)


def webhook_key() -> Call[PublicKey]:
    """Return the key for `webhooks.received`."""
    return read("/v1/webhook-key", lambda members: public_key(members["public_key"]))


def webhooks() -> Call[Sequence[Webhook]]:
    """Return the webhooks of the program, oldest first."""
    return rows("/v1/webhooks", value(Webhook))


def show_webhook(id: int | str) -> Call[Webhook]:
    """Return a webhook with its position and its last failure."""
    name = name_of(id)
    return read(f"/v1/webhooks/{name}", value(Webhook, id=name))


def remove_webhook(webhook: int | str) -> Call[None]:
    """Remove a webhook and its dead letters. Raises NotFound if it was removed before, also by a lost attempt."""
    path = f"/v1/webhooks/{name_of(webhook)}"

    def converse(_: Session) -> Conversation[None]:
        yield Request("DELETE", path)

    return Call(converse)


def enable_webhook(webhook: int | str, *, id: int = 0) -> Call[str]:
    """Continue after the last event that was taken, now; return the webhook."""
    return _ended(f"/v1/webhooks/{name_of(webhook)}/enable", name_of(webhook), id)


def dead_letters(webhook: int | str) -> Call[Sequence[DeadLetter]]:
    """Return the events that the receiver did not take by the last attempt, oldest first."""
    return rows(f"/v1/webhooks/{name_of(webhook)}/dead-letters", value(DeadLetter))


def resend_dead_letters(webhook: int | str, events: Sequence[str] = (), *, id: int = 0) -> Call[str]:
    """Send dead letters again, by the numbers of their events, or all; return the webhook."""
    path = f"/v1/webhooks/{name_of(webhook)}/dead-letters/resend"
    return _ended(path, name_of(webhook), id, {"events": list(events)})


def _ended(path: str, named: str, id: int, body: Members | None = None) -> Call[str]:
    """Return an action whose answer has the id of what it is about."""
    return action(path, body or {}, _same("id", named), id=id)


def _same(member: str, named: str) -> Callable[[Members], str]:
    def make(members: Members) -> str:
        require_same(members, member, named)
        return named

    return make
