"""Passkeys of persons (Web Authentication), with the library `webauthn`.

An invitation permits one registration. The authenticator must verify its user, by a PIN or a fingerprint. A login
begins without a name, so that no answer shows who has a passkey.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.core import ids
from sycee.core.clock import Clock, read_ns
from sycee.core.extras import extra
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write
from sycee.identity.people import People
from sycee.identity.tables import ACTIVE
from sycee.server.auth.invitations import Invitations
from sycee.server.auth.one_time import OneTime
from sycee.server.auth.refusals import NotAuthenticated
from sycee.server.auth.settings import AuthSettings
from sycee.server.auth.tables import CREDENTIAL_BYTES_MAX, PASSKEYS

with extra("server"):
    import webauthn
    from webauthn.helpers import base64url_to_bytes, options_to_json_dict
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

Begin: TypeAlias = "Callable[[Connection, int], str]"  # stores a session of a person, and returns its cookie
_MALFORMED: Final = (ValueError, TypeError, KeyError, AttributeError, RecursionError)
_REQUIRED: Final = UserVerificationRequirement.REQUIRED


@dataclass(frozen=True, slots=True)
class Challenge:
    """Purpose of a challenge. `code`: of the invitation; "" for a login."""

    code: str = ""


class Passkeys:
    """Registration and verification of passkeys."""

    def __init__(
        self, stores: Stores, people: People, invitations: Invitations, settings: AuthSettings, clock: Clock
    ) -> None:
        self._engine = stores.engine
        self._people = people
        self._invitations = invitations
        self._settings = settings
        self._clock = clock
        self.challenges: OneTime[Challenge] = OneTime(clock)

    def registration_options(self, code: str, sender: str = "") -> dict[str, Any]:
        """Return the options of `navigator.credentials.create` for an invitation. Raises NotAuthenticated.

        `sender`: the address that asks; begun registrations and logins are counted for each.
        """
        person = self._invitations.open(code).person
        chosen = sqlalchemy.select(PASSKEYS.c.credential).where(PASSKEYS.c.person == person)
        with reading(self._engine) as connection:
            known = list(connection.scalars(chosen))
        made = webauthn.generate_registration_options(
            rp_id=self._settings.relying_party,
            rp_name=self._settings.rp_name,
            user_id=person.to_bytes(16, "big"),
            user_name=ids.format(person),
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=_REQUIRED
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=each) for each in known],
        )
        self.challenges.put(made.challenge, Challenge(code), sender)
        return options_to_json_dict(made)

    def register(self, credential: Mapping[str, Any], begin: Begin) -> str:
        """Store the passkey that an authenticator made, use the invitation, and return the cookie of a new session.

        `begin` stores the session of a person in the same transaction. Raises NotAuthenticated.
        """
        challenge, waiting = self._waiting(credential)
        if not waiting.code:
            raise NotAuthenticated("")
        try:
            made = webauthn.verify_registration_response(
                credential=dict(credential),
                expected_challenge=challenge,
                expected_rp_id=self._settings.relying_party,
                expected_origin=self._settings.public_url,
                require_user_verification=True,
            )
        except Exception as error:  # the library parses foreign bytes, and raises many kinds of errors
            raise NotAuthenticated("") from error
        if len(made.credential_id) > CREDENTIAL_BYTES_MAX:
            raise NotAuthenticated("")

        def work(connection: Connection) -> str:
            invitation = self._invitations.use(connection, waiting.code)
            chosen = sqlalchemy.select(PASSKEYS.c.person).where(PASSKEYS.c.credential == made.credential_id)
            if connection.scalar(chosen) is not None:
                raise NotAuthenticated("")
            row = {
                "credential": made.credential_id,
                "person": invitation.person,
                "public_key": made.credential_public_key,
                "sign_count": made.sign_count,
                "invitation": invitation.id,
                "made_ns": read_ns(self._clock),
            }
            connection.execute(PASSKEYS.insert().values(row))
            return begin(connection, invitation.person)

        return write(self._engine, work)

    def login_options(self, sender: str = "") -> dict[str, Any]:
        """Return the options of `navigator.credentials.get`: the same for everybody. `sender` as above."""
        made = webauthn.generate_authentication_options(rp_id=self._settings.relying_party, user_verification=_REQUIRED)
        self.challenges.put(made.challenge, Challenge(), sender)
        return options_to_json_dict(made)

    def login(self, credential: Mapping[str, Any], begin: Begin) -> str:
        """Return the cookie of a new session of the person whose passkey signed. Raises NotAuthenticated."""
        challenge, waiting = self._waiting(credential)
        if waiting.code:
            raise NotAuthenticated("")
        chosen = PASSKEYS.c.credential == self._id_of(credential)
        with reading(self._engine) as connection:
            row = connection.execute(sqlalchemy.select(PASSKEYS).where(chosen)).one_or_none()
        if row is None or self._people.state_of(row.person) != ACTIVE:
            raise NotAuthenticated("")
        try:
            shown = webauthn.verify_authentication_response(
                credential=dict(credential),
                expected_challenge=challenge,
                expected_rp_id=self._settings.relying_party,
                expected_origin=self._settings.public_url,
                credential_public_key=row.public_key,
                credential_current_sign_count=row.sign_count,
                require_user_verification=True,
            )
        except Exception as error:  # as in `register`
            raise NotAuthenticated("") from error

        def work(connection: Connection) -> str:
            # The counter of a copied authenticator is behind: of two concurrent logins with one count, one is refused.
            unchanged = chosen & (PASSKEYS.c.sign_count == row.sign_count)
            counted = {"sign_count": shown.new_sign_count, "used_ns": read_ns(self._clock)}
            if connection.execute(PASSKEYS.update().where(unchanged).values(counted)).rowcount != 1:
                raise NotAuthenticated("")
            return begin(connection, row.person)

        return write(self._engine, work)

    def _waiting(self, credential: Mapping[str, Any]) -> tuple[bytes, Challenge]:
        """Return the challenge that a credential answers, which is used up by that, with its purpose."""
        try:
            client_data = json.loads(base64url_to_bytes(credential["response"]["clientDataJSON"]))
            challenge = base64url_to_bytes(client_data["challenge"])
        except _MALFORMED as error:
            raise NotAuthenticated("") from error
        waiting = self.challenges.take(challenge)
        if waiting is None:
            raise NotAuthenticated("")
        return challenge, waiting

    @staticmethod
    def _id_of(credential: Mapping[str, Any]) -> bytes:
        try:
            return base64url_to_bytes(credential["rawId"])
        except _MALFORMED as error:
            raise NotAuthenticated("") from error
