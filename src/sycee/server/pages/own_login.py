"""What the pages show to a person who is logged in: name, bank, notices, sessions and passkeys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.identity.duties import Duty
from sycee.identity.people import HeldDuty, article
from sycee.identity.tables import ACTIVE, APPROVED, ISSUER
from sycee.life import notices
from sycee.personal.access import Reason
from sycee.server.access import access_of
from sycee.server.auth.caller import Caller
from sycee.server.auth.logins import Session
from sycee.server.auth.passkeys import Passkey
from sycee.server.auth.service import Authentication
from sycee.server.auth.told import LoginNotice

NAME: Final = "name"  # a field of personal data

_WORDS: Final[Mapping[str, str]] = {
    notices.LOGIN_INVITED: "A code was made to set up a login as you.",
    notices.LOGIN_CREATED: "A login was set up with a code.",
    notices.LOGIN_PASSKEY_ADDED: "A passkey was added in a session of yours.",
    notices.LOGIN_RECOVERY: "A new way to log in was requested, as after the loss of a phone.",
    notices.PROGRAM_REGISTERED: "A program was registered that acts for you.",
}


@dataclass(frozen=True, slots=True)
class ShownNotice:
    """A notice in words. `who`: of the staff who acted or invited, "" for nobody, with the id `by`.

    `is_about_this`: whether it is about the login of this session. `where`: program and address of another session of
    its login, "" for none.
    """

    id: int
    words: str
    at_ns: int
    who: str
    by: int
    is_about_this: bool
    where: str


@dataclass(frozen=True, slots=True)
class ShownPasskey:
    """A passkey. `inviter`: in words, "" for nobody; `is_this`: whether the session's login is this passkey."""

    id: int
    name: str
    made_ns: int
    used_ns: int | None
    inviter: str
    is_this: bool


@dataclass(frozen=True, slots=True)
class ShownSession:
    """A session. `program`: the browser and its system, as the browser names them; `is_this`: of this page."""

    id: int
    program: str
    address: str
    made_ns: int
    used_ns: int
    until_ns: int
    is_this: bool


@dataclass(frozen=True, slots=True)
class OwnLogin:
    """A person's logins. `masked_until_ns`: until then personal data is masked, 0 for data that is shown as it is."""

    name: str
    bank: str
    masked_until_ns: int
    inviter: str
    notices: tuple[ShownNotice, ...]
    sessions: tuple[ShownSession, ...]
    passkeys: tuple[ShownPasskey, ...]


def own_login(bank: Bank, authentication: Authentication, caller: Caller) -> OwnLogin:
    """Return what the login page shows, after an entry in the access log if the person has a record."""
    session = caller.session
    assert session is not None, "a person who is logged in"
    person, origin = caller.person, session.login.origin
    sessions, passkeys = authentication.sessions.of_person(person), authentication.passkeys.of_person(person)
    inviters = {each.login.id: each.login.origin.inviter for each in sessions}
    inviters |= {each.id: each.origin.inviter for each in passkeys}
    places = {each.login.id: f"{shown_program(each.browser)}, address {each.address or 'unknown'}" for each in sessions}
    return OwnLogin(
        _own_name(bank, caller),
        bank_of(bank, person),
        origin.masked_until_ns if caller.is_masked else 0,
        _inviter(bank, origin.inviter, person),
        tuple(_notice(bank, each, session, inviters, places) for each in authentication.told.waiting(person)),
        tuple(_session(each, session) for each in sessions),
        tuple(_passkey(bank, each, session) for each in passkeys),
    )


def masked_name(bank: Bank, person: int) -> str:
    """Return the masked name of a person, or the id of a person without one. Not an access: the name is not shown."""
    return (bank.personal.mask_of(person) if bank.personal.has_record(person) else "") or ids.format(person)


def bank_of(bank: Bank, person: int) -> str:
    """Return the name of a person's bank: whom the person has an account with, works for, or can call.

    A data folder has no name, since one issuer and several operators share it. A customer's bank is the operator of the
    wallets, staff and merchants have one by their duty, and everybody else deals with the issuer.
    """
    held = bank.people.duties_of(person)
    operators = [wallet.operator for wallet in bank.directory.of_holder(person)]
    operators += [each.operator for each in held if each.operator is not None]
    merchants = [bank.institutions.get(each.institution) for each in held if each.duty is Duty.MERCHANT]
    operators += [each.operator for each in merchants if each.operator is not None]
    found = [bank.institutions.of_operator(number) for number in dict.fromkeys(operators)]
    if names := [each.name for each in found if each is not None]:
        return " and ".join(names)
    issuers = [each.name for each in bank.institutions.list(ISSUER) if each.state in (APPROVED, ACTIVE)]
    return issuers[0] if issuers else f"the issuer of {bank.config.currency.code}"


def _own_name(bank: Bank, caller: Caller) -> str:
    """Return the name of a caller, masked in a masked session; the id of a person without a name."""
    found: Mapping[str, str] = {}
    if bank.personal.has_record(caller.person):
        found = bank.personal.read(caller.person, [NAME], access=access_of(caller, Reason.OWN_REQUEST))
    return found.get(NAME) or ids.format(caller.person)


def _notice(
    bank: Bank, found: LoginNotice, own: Session, inviters: Mapping[int, int], places: Mapping[int, str]
) -> ShownNotice:
    by = found.by or inviters.get(found.login, 0)
    who = "" if not by else f"{'by' if found.by else 'under an invitation by'} {_inviter(bank, by, found.person)}"
    is_about_this = found.login != 0 and found.login == own.login.id
    where = "" if is_about_this or not found.login else places.get(found.login, "")
    return ShownNotice(found.id, _WORDS.get(found.text, found.text), found.at_ns, who, by, is_about_this, where)


def _passkey(bank: Bank, found: Passkey, own: Session) -> ShownPasskey:
    inviter = _inviter(bank, found.origin.inviter, own.login.person)
    return ShownPasskey(found.id, found.name, found.made_ns, found.used_ns, inviter, found.id == own.login.id)


def _session(found: Session, own: Session) -> ShownSession:
    program = shown_program(found.browser)
    return ShownSession(
        found.id, program, found.address, found.made_ns, found.used_ns, found.until_ns, found.id == own.id
    )


def shown_program(agent: str) -> str:
    """Return a browser's header `User-Agent` without the parts that all browsers send.

    These are the products in front of the engine's comment, and what follows the first number of each version.
    """
    system, _, rest = agent.partition("(")[2].partition(")")
    products = [each.partition(".")[0].replace("/", " ") for each in rest.rpartition(")")[2].split()]
    return " on ".join(filter(None, (", ".join(products), system))) or agent or "unknown browser"


def _inviter(bank: Bank, inviter: int, person: int) -> str:
    """Return who of the staff invited a person, or acted, in words; "" for nobody. Who has a key may invite oneself."""
    if inviter in (0, person):
        return "yourself" if inviter else ""
    return " and ".join(_duty(bank, each) for each in bank.people.duties_of(inviter)) or "somebody who had a duty"


def _duty(bank: Bank, held: HeldDuty) -> str:
    of = f" of {bank.institutions.get(held.institution).name}" if held.institution else ""
    duty = "signer" if held.duty is Duty.OPERATOR else held.duty.value.replace("-", " ")
    return article(f"{duty}{of}")
