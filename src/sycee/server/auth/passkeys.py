"""Passkeys of persons (Web Authentication), with the library `webauthn`.

An invitation permits one registration, and so does a session that began a moment ago. The authenticator must verify
its user, by a PIN or a fingerprint. A login begins without a name, so that no answer shows who has a passkey.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.core import ids, json_documents
from sycee.core.clock import Clock, read_ns
from sycee.core.errors import NotFound, UsageError
from sycee.core.extras import extra
from sycee.database.stores import Stores
from sycee.database.transactions import Also, reading, write
from sycee.identity.people import People
from sycee.identity.tables import ACTIVE
from sycee.life.notices import LOGIN_CREATED, LOGIN_PASSKEY_ADDED
from sycee.server.auth.invitations import Invitations
from sycee.server.auth.logins import (
    PASSKEY,
    Begin,
    Login,
    Origin,
    Session,
    login_count,
    login_origin,
    origin_columns,
    origin_of,
    passkey_id,
)
from sycee.server.auth.one_time import OneTime
from sycee.server.auth.refusals import NotAuthenticated
from sycee.server.auth.settings import AuthSettings
from sycee.server.auth.tables import CREDENTIAL_BYTES_MAX, PASSKEYS, SESSIONS
from sycee.server.auth.told import Told

with extra("bank"):
    import webauthn
    from webauthn.helpers import base64url_to_bytes, options_to_json_dict
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

NAME_CHARACTERS_MAX: Final = 60
_MALFORMED: Final = (UsageError, ValueError, TypeError, KeyError, AttributeError)
_REQUIRED: Final = UserVerificationRequirement.REQUIRED


@dataclass(frozen=True, slots=True)
class Challenge:
    """Purpose of a challenge. `code`: of the invitation; `session`: that adds a passkey; neither for a login."""

    code: str = ""
    session: int = 0


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey of a person. `used_ns`: of the last login, None before the first one."""

    id: int
    name: str
    made_ns: int
    used_ns: int | None
    origin: Origin


class Passkeys:
    """Registration and verification of passkeys."""

    def __init__(
        self, stores: Stores, people: People, invitations: Invitations, told: Told, settings: AuthSettings,
        clock: Clock,
    ) -> None:  # fmt: skip
        self._engine = stores.engine
        self._people = people
        self._invitations = invitations
        self._told = told
        self._settings = settings
        self._clock = clock
        self.challenges: OneTime[Challenge] = OneTime(clock)

    def registration_options(self, code: str, sender: str = "", session: Session | None = None) -> dict[str, Any]:
        """Return the options of `navigator.credentials.create` for an invitation, or for "" in a fresh session.

        `sender`: the address that asks; begun registrations and logins are counted for each. Raises NotAuthenticated
        for a wrong code, and for no code without a session.
        """
        if not code and session is None:
            raise NotAuthenticated("")
        person = self._invitations.open(code).person if code or session is None else session.login.person
        chosen = sqlalchemy.select(PASSKEYS.c.credential).where(PASSKEYS.c.person == person)
        with reading(self._engine) as connection:
            known = list(connection.scalars(chosen))
        made = webauthn.generate_registration_options(
            rp_id=self._settings.relying_party,
            rp_name=self._settings.rp_name,
            user_id=_handle(person),
            user_name=ids.format(person),
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=_REQUIRED
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=each) for each in known],
        )
        purpose = Challenge(code, 0 if code or session is None else session.id)
        self.challenges.put(made.challenge, purpose, sender)
        return options_to_json_dict(made)

    def register(self, credential: Mapping[str, Any], begin: Begin, session: Session | None = None) -> str:
        """Store the passkey that an authenticator made, use the invitation, and return the cookie of a new session.

        `begin` stores the session of a login in the same transaction. `session`: of the request, which a new one
        replaces if it adds a passkey. The person is told. Raises NotAuthenticated.
        """
        challenge, waiting = self._waiting(credential)
        if not waiting.code and (session is None or waiting.session != session.id):
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
        if waiting.code:
            person, text = self._invitations.open(waiting.code).person, LOGIN_CREATED
        else:
            assert session is not None, "checked above"
            person, text = session.login.person, LOGIN_PASSKEY_ADDED
        notice = self._told.prepare(person, text)

        def work(connection: Connection) -> str:
            if waiting.code:
                _, origin = self._invitations.use(connection, waiting.code)
            else:
                origin = self._replaced(connection, waiting.session, person)
            chosen = sqlalchemy.select(PASSKEYS.c.person).where(PASSKEYS.c.credential == made.credential_id)
            if connection.scalar(chosen) is not None:
                raise NotAuthenticated("")
            row = {
                "credential": made.credential_id,
                "person": person,
                "name": "",
                "public_key": made.credential_public_key,
                "sign_count": made.sign_count,
                **origin_columns(origin),
                "made_ns": read_ns(self._clock),
            }
            connection.execute(PASSKEYS.insert().values(row))
            login = Login(passkey_id(made.credential_id), person, PASSKEY, origin)
            self._told.store(connection, notice, login=login.id)
            return begin(connection, login)

        return write(self._engine, work)

    def _replaced(self, connection: Connection, session: int, person: int) -> Origin:
        """End the session that adds a passkey, in the caller's transaction; return the origin of its login.

        Raises NotAuthenticated if the session, or its login, has ended since.
        """
        chosen = (SESSIONS.c.id == session) & (SESSIONS.c.person == person)
        row = connection.execute(sqlalchemy.select(SESSIONS).where(chosen)).one_or_none()
        if row is None or login_origin(connection, person, row.login) is None:
            raise NotAuthenticated("")
        connection.execute(SESSIONS.delete().where(chosen))
        return origin_of(row)

    # --- a person's own passkeys ---

    def of_person(self, person: int) -> list[Passkey]:
        """Return the passkeys of a person, oldest first."""
        query = sqlalchemy.select(PASSKEYS).where(PASSKEYS.c.person == person).order_by(PASSKEYS.c.made_ns)
        with reading(self._engine) as connection:
            return [
                Passkey(passkey_id(row.credential), row.name, row.made_ns, row.used_ns, origin_of(row))
                for row in connection.execute(query)
            ]

    def rename(self, person: int, passkey: int, name: str) -> None:
        """Name a passkey of a person. Raises NotFound if the person has no such passkey, UsageError for the name."""
        if not 1 <= len(name) <= NAME_CHARACTERS_MAX or not name.isprintable():
            raise UsageError(
                f"the name of a passkey has 1 to {NAME_CHARACTERS_MAX} printable characters",
                hint="name the device that has it",
            )

        def work(connection: Connection) -> None:
            credential = self._credential(connection, person, passkey)
            connection.execute(PASSKEYS.update().where(PASSKEYS.c.credential == credential).values(name=name))

        write(self._engine, work)

    def remove(self, person: int, passkey: int, *, also: Also) -> None:
        """Remove a passkey of a person, and end its sessions.

        Raises NotFound if the person has no such passkey, UsageError for the only login: nobody could log in again.
        """

        def work(connection: Connection) -> None:
            credential = self._credential(connection, person, passkey)
            if login_count(connection, person) == 1:
                raise UsageError(
                    "this passkey is your only login", hint="add another one first, or have your bank end all logins"
                )
            connection.execute(PASSKEYS.delete().where(PASSKEYS.c.credential == credential))
            connection.execute(SESSIONS.delete().where(SESSIONS.c.person == person, SESSIONS.c.login == passkey))
            also(connection)

        write(self._engine, work)

    @staticmethod
    def _credential(connection: Connection, person: int, passkey: int) -> bytes:
        chosen = sqlalchemy.select(PASSKEYS.c.credential).where(PASSKEYS.c.person == person)
        for credential in connection.scalars(chosen):
            if passkey_id(credential) == passkey:
                return bytes(credential)
        raise NotFound("you have no such passkey", hint="list your passkeys again")

    # --- logins ---

    def login_options(self, sender: str = "") -> dict[str, Any]:
        """Return the options of `navigator.credentials.get`: the same for everybody. `sender` as above."""
        made = webauthn.generate_authentication_options(rp_id=self._settings.relying_party, user_verification=_REQUIRED)
        self.challenges.put(made.challenge, Challenge(), sender)
        return options_to_json_dict(made)

    def login(self, credential: Mapping[str, Any], begin: Begin) -> str:
        """Return the cookie of a new session of the person whose passkey signed. Raises NotAuthenticated."""
        challenge, waiting = self._waiting(credential)
        if waiting != Challenge():
            raise NotAuthenticated("")
        chosen = PASSKEYS.c.credential == self._id_of(credential)
        with reading(self._engine) as connection:
            row = connection.execute(sqlalchemy.select(PASSKEYS).where(chosen)).one_or_none()
        if row is None or self._people.state_of(row.person) != ACTIVE:
            raise NotAuthenticated("")
        self._require_user(credential, row.person)
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
            return begin(connection, Login(passkey_id(row.credential), row.person, PASSKEY, origin_of(row)))

        return write(self._engine, work)

    def _waiting(self, credential: Mapping[str, Any]) -> tuple[bytes, Challenge]:
        """Return the challenge that a credential answers, which is used up by that, with its purpose."""
        try:
            content = base64url_to_bytes(credential["response"]["clientDataJSON"])
            client_data = json_documents.parse(content, "clientDataJSON")
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

    @staticmethod
    def _require_user(credential: Mapping[str, Any], person: int) -> None:
        """Raise NotAuthenticated unless the authenticator states the person's handle.

        No login names a user before, so the handle must be there (Web Authentication, section 7.2, step 6).
        """
        try:
            is_same = hmac.compare_digest(base64url_to_bytes(credential["response"]["userHandle"]), _handle(person))
        except _MALFORMED as error:
            raise NotAuthenticated("") from error
        if not is_same:
            raise NotAuthenticated("")


def _handle(person: int) -> bytes:
    """Return the handle under which an authenticator stores the passkeys of a person."""
    return person.to_bytes(16, "big")
