"""The calls of every area against one served bank: what they sign, what they return, and what they refuse to sign."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pytest
from tests.bank.world import DAY_NS, SECOND_NS, START_NS
from tests.client.world import DEADLINE_S, Lying, Place, appointed, place, program
from tests.wallets import world
from tests.wallets.codes import dead_letter, taken
from tests.wallets.world import DESK, LEO_KEY, Town

from sycee.client import (
    AsyncClient,
    Call,
    Client,
    ContradictsRequest,
    Credentials,
    InvalidRequest,
    NotFound,
    NotPermitted,
    Refused,
    Signer,
    api,
    packs,
)
from sycee.client.calls import read
from sycee.client.values import NewPerson, ReserveRule
from sycee.core import ids
from sycee.core.errors import IntegrityError, UsageError
from sycee.core.errors import Refused as LedgerRefused
from sycee.core.keys import SigningKey
from sycee.core.records.layout import OPERATION
from sycee.identity.duties import Duty

CAROL, DORA, AUDREY, LEOS, NEW, TILL = (SigningKey.derive(bytes([number]) * 32) for number in range(140, 146))
HOUR_NS = 3_600 * SECOND_NS


@dataclass(frozen=True)
class Street:
    """The served town with programs of further persons. Leo runs the tea house, and has a wallet with a key."""

    place: Place
    leo: Credentials
    carol: Credentials
    dora: Credentials
    audrey: Credentials

    @property
    def wallet(self) -> Signer:
        return Signer(self.place.town.leo, LEO_KEY)

    @property
    def now_ns(self) -> int:
        return int(self.place.town.bank.stores.clock.now_ns())


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    programs: list[Credentials] = []

    def prepare(town: Town) -> None:
        leo = appointed(town, Duty.MERCHANT, LEOS, person=town.holder(town.leo), institution=town.tea)
        programs.append(program(town, 150, leo, 2))
        staff = ((Duty.CLOSER, CAROL), (Duty.COUNTERSIGNER, DORA), (Duty.AUDITOR, AUDREY))
        for number, (duty, key) in enumerate(staff, 151):
            programs.append(program(town, number, appointed(town, duty, key)))

    with place(tmp_path_factory.mktemp("operations"), prepare, http_webhook_networks="127.0.0.0/8") as made:
        yield Street(made, *programs)


@pytest.fixture(scope="module")
def desk(street: Street) -> Iterator[Client]:
    with street.place.client(street.place.desk) as made:
        yield made


@pytest.fixture(scope="module")
def leo(street: Street) -> Iterator[Client]:
    with street.place.client(street.leo) as made:
        yield made


@pytest.fixture(scope="module")
def ann(street: Street) -> Iterator[Client]:
    with street.place.client(street.place.ann) as made:
        yield made


def opened(street: Street, desk: Client, name: str, number: int) -> str:
    """Open a custodial wallet."""
    person = {"name": name, "phone": f"+86 139 0000 {number:04}"}
    return desk.do(api.open_person(person, operator=2, tier="class-4", signer=street.place.staff)).wallet


def again(client: Client, call: Call[Any]) -> Any:
    """Do a call twice: the second answer is the first one."""
    done = client.do(call)
    assert client.do(call) == done
    return done


# --- wallets and keys ---


def test_lapsed_openings_are_signed_anew(street: Street, desk: Client) -> None:
    town, staff = street.place.town, street.place.staff
    wrong = {"operator": 2, "signers": town.signers(DESK), "who": town.north}  # no signature that counts
    town.bank.wallets.open_many({"phone": [f"+86 139 7000 000{at}" for at in range(3)]}, tier="class-4", **wrong)
    wallet = ids.new(1)
    proof = desk.do(api.prove_key(wallet, NEW, key_epoch=1))
    with pytest.raises(LedgerRefused):
        town.bank.wallets.open_person(
            {"phone": "+86 139 7000 0009"}, tier="class-2", account=wallet, key=NEW.public, proof=proof, **wrong
        )
    one, batch = sorted(desk.rows(api.lapsed_openings(2)), key=lambda each: each.wallets)
    assert (batch.wallets, batch.key, one.wallets, one.key) == (3, "", 1, str(NEW.public))
    for lie in ({"kind": "merchant"}, {"wallets": 2}, {"key": str(NEW.public)}):
        with pytest.raises(ContradictsRequest):
            desk.do(api.renew_opening(replace(batch, **lie), staff))
    with pytest.raises(NotFound):
        desk.do(api.renew_opening(replace(batch, opening=ids.format(5)), staff))
    assert again(desk, api.renew_opening(batch, staff)).wallets == 3
    assert again(desk, api.renew_opening(one, staff)).wallets == 1
    assert desk.do(api.wallet(wallet)).signs == "key"
    assert list(desk.rows(api.lapsed_openings(2))) == []


def test_persons_of_a_batch_get_the_same_wallets_again(street: Street, desk: Client) -> None:
    persons = [NewPerson({"name": f"P{at}", "phone": phone}) for at, phone in enumerate(("+86 139 7000 0021", "12"))]
    batch: dict[str, Any] = {"operator": 2, "tier": "class-4", "signer": street.place.staff}
    call = api.open_persons(persons, **batch)
    first = again(desk, call)
    assert [each.code for each in first] == ["", "INVALID_PHONE"]
    assert desk.do(api.open_persons(persons, **batch, id=ids.parse(call.id))) == first
    with pytest.raises(InvalidRequest):
        desk.do(api.open_persons([], **batch))


def test_a_wallet_with_a_key_is_opened_changed_and_closed(street: Street, desk: Client) -> None:
    staff, wallet = street.place.staff, ids.new(1)
    proof = desk.do(api.prove_key(wallet, NEW, key_epoch=1))
    person = {"name": "Uma", "phone": "+86 139 0000 0001"}
    opening = api.open_person(
        person, operator=2, tier="class-2", signer=staff, wallet=wallet, key=NEW.public, proof=proof
    )
    holder = again(desk, opening).holder
    shown = desk.do(api.wallet(wallet))
    assert (shown.signs, shown.key_epoch, shown.aliases, shown.waterfall) == ("key", 1, ("phone",), False)
    second = again(desk, api.open_wallet(holder, operator=2, tier="class-4", signer=staff)).wallet
    assert {each.wallet for each in desk.rows(api.wallets(holder))} == {shown.wallet, second}
    assert again(desk, api.change_class(wallet, "class-3", staff)).tier == "class-3"
    assert again(desk, api.close_wallet(second, staff)).state == "closed"
    with pytest.raises(Refused, match="ACCOUNT_NOT_EMPTY"):
        desk.do(api.close_wallet(street.place.town.ned, staff))
    # Its own key signs a mandate, once it has a bank account.
    assert desk.do(api.mandate(wallet)).id is None
    assert again(desk, api.link_bank(wallet, "CN00 1", staff)).wallet == shown.wallet
    assert desk.do(api.wallet(wallet)).waterfall
    again(desk, api.unlink_bank(wallet, staff))
    assert not desk.do(api.wallet(wallet)).waterfall
    assert desk.do(api.restrictions(wallet)) == ()


def test_a_key_is_rotated_and_revoked(street: Street, desk: Client) -> None:
    staff = street.place.staff
    wallet = opened(street, desk, "Vic", 2)
    proof = desk.do(api.prove_key(wallet, NEW))
    with pytest.raises(InvalidRequest, match="the proof is not a signature"):
        desk.do(api.set_key(wallet, LEO_KEY.public, proof, staff))
    state = again(desk, api.set_key(wallet, NEW.public, proof, staff))
    assert (state.key, state.key_epoch, state.state) == (str(NEW.public), 1, "set")
    lost = again(desk, api.revoke_key(wallet, staff, reason="stolen"))
    assert (lost.key, lost.key_epoch) == ("", 2)
    found = desk.do(api.keys(wallet))
    assert (found.key, found.next_epoch, [each.reason for each in found.keys]) == ("", 3, ["rotation", "stolen"])
    assert desk.do(api.wallet(wallet)).signs == "nobody"


def test_a_lost_phone_is_recovered_with_three_signatures(street: Street, desk: Client) -> None:
    town = street.place.town
    mia = ids.format(town.mia)
    number = desk.do(api.open_case("complaint", person=town.holder(town.mia), text="lost"))
    # The case that permits a new key is opened by the holder, or by another person of the staff.
    lost = town.bank.cases.open("recovery", by=town.holder(town.mia), person=town.holder(town.mia))
    assert number in {each.case for each in desk.rows(api.cases())}
    assert desk.do(api.case(number)).events[0].has_text
    proof = desk.do(api.prove_key(mia, NEW))
    made = again(desk, api.recover(mia, NEW.public, proof, street.place.staff, case=lost))
    assert made.accounts == (mia,)
    assert [each.kind for each in desk.do(api.restrictions(mia))] == ["phone-lost"]
    with pytest.raises(InvalidRequest, match="not over yet"):
        desk.do(api.finish_recovery(mia, street.place.staff))
    assert desk.do(api.claims()) == ()


def test_the_async_client_signs_in_parts_as_well(street: Street, desk: Client) -> None:
    wallet = opened(street, desk, "Wes", 3)
    place = street.place

    async def main() -> None:
        async with AsyncClient(place.address, place.desk, origin=place.origin, deadline_s=DEADLINE_S) as bank:
            proof = await bank.do(api.prove_key(wallet, NEW))
            call = api.set_key(wallet, NEW.public, proof, place.staff)
            done = await bank.do(call)
            assert (done.key_epoch, await bank.do(call)) == (1, done)

    asyncio.run(main())


# --- aliases ---


def test_a_handle_is_registered_with_the_wallets_key(street: Street, desk: Client, leo: Client) -> None:
    wallet = street.wallet
    assert again(leo, api.register_handle(wallet, "@leo")) == ids.format(wallet.id)
    assert desk.do(api.resolve("@leo")).wallet == ids.format(wallet.id)
    with pytest.raises(InvalidRequest, match="no alias of this wallet moves"):
        leo.do(api.keep_alias(wallet, "@leo"))
    with pytest.raises(UsageError, match="must sign, and it was not given"):
        leo.do(api.end_alias(wallet.id, "@leo"))
    assert again(leo, api.end_alias(wallet, "@leo")) == ids.format(wallet.id)
    with pytest.raises(NotFound):
        desk.do(api.resolve("@leo"))
    again(desk, api.register_handle(street.place.town.ned, "@ned"))  # custodial: the operator asks


def test_a_phone_is_confirmed_by_its_code(street: Street, leo: Client) -> None:
    challenge = again(leo, api.challenge_phone(street.wallet, "+86 139 1111 0001"))
    (code,) = taken(street.place.town.bank.aliases)
    assert (ids.format(code.challenge), code.phone) == (challenge, "+8613911110001")
    with pytest.raises(InvalidRequest, match="the code is wrong"):
        leo.do(api.confirm_phone(challenge, f"{(int(code.code) + 1) % 10**6:06}"))
    assert again(leo, api.confirm_phone(challenge, code.code)) is True


# --- requests, holds ---


def test_requests_are_asked_declined_withdrawn_and_paid(street: Street, desk: Client, leo: Client) -> None:
    town, staff = street.place.town, street.place.staff
    until = {"expires_ns": street.now_ns + HOUR_NS}
    mine = again(leo, api.ask(street.wallet, 30, payer=town.ned, text="tea", **until))
    shown = leo.do(api.request(mine.request))
    assert (shown.minor, shown.payer, shown.text, shown.state) == (30, ids.format(town.ned), "tea", "open")
    assert mine.request in [each.request for each in desk.rows(api.requests(town.ned, "payer"))]
    assert mine.request in [each.request for each in leo.rows(api.requests(town.leo, "payee"))]
    assert leo.do(api.request_qr(mine.request)).startswith(b"000201")
    assert leo.do(api.request_qr(mine.request, "png")).startswith(b"\x89PNG")
    assert again(leo, api.withdraw_request(mine.request)).state == "withdrawn"
    theirs = desk.do(api.ask(town.ned, 12, payer=town.leo, signer=staff, **until))
    assert again(leo, api.decline_request(theirs.request)).state == "declined"
    # The till asks with its own key, and everybody who has the id may pay.
    (outlet,) = leo.do(api.merchant(town.tea)).outlets
    till = leo.do(api.open_till(town.tea, outlet.outlet, "T9", key=TILL.public))
    asked = leo.do(api.ask(town.shop, 40, till=Signer.of(till, TILL), order="R-9", **until))
    assert desk.do(api.pay_request(asked.request, town.ned, town.shop, 40, signer=staff)).state == "paid"
    assert leo.do(api.order(town.shop, "R-9")).is_paid


def test_a_hold_is_taken_prolonged_and_released(street: Street, desk: Client, leo: Client) -> None:
    town, staff = street.place.town, street.place.staff
    until_ns, before = street.now_ns + HOUR_NS, town.balance(town.shop)
    made = again(leo, api.hold(street.wallet, town.shop, 50_00, until_ns=until_ns, text="deposit", order="H-1"))
    assert again(leo, api.extend_hold(made.hold, street.wallet, until_ns + HOUR_NS)).state == "open"
    shown = leo.do(api.held(made.hold))
    assert (shown.held_minor, shown.until_ns, shown.order) == (50_00, until_ns + HOUR_NS, "H-1")
    taken = again(desk, api.post_hold(made.hold, town.shop, 30_00, till=town.till_1, signer=staff))
    assert (taken.state, taken.payment is not None, town.balance(town.shop)) == ("posted", True, before + 30_00)
    other = leo.do(api.hold(street.wallet, town.shop, 1_00, until_ns=until_ns))
    assert again(desk, api.void_hold(other.hold, town.shop, signer=staff)).state == "voided"
    states = {each.hold: each.state for each in leo.rows(api.holds(town.leo))}
    assert (states[made.hold], states[other.hold]) == ("posted", "voided")


# --- merchants, and money between wallets and banks ---


def test_a_merchant_opens_tills_reads_its_day_and_sweeps(street: Street, desk: Client, leo: Client) -> None:
    town, staff = street.place.town, street.place.staff
    tea = ids.format(town.tea)
    assert [(each.merchant, each.name) for each in leo.rows(api.merchants())] == [(tea, world.TEA)]
    outlet = again(leo, api.open_outlet(tea, "KIOSK"))
    till = again(leo, api.open_till(tea, outlet, "K1"))
    assert till in {each.till for each in leo.do(api.merchant(tea)).tills}
    assert "KIOSK/K1" in leo.do(api.qr(town.shop, minor=5, order="Q-1", till=till))
    assert leo.do(api.qr_picture(town.shop, "svg", minor=5)).lstrip().startswith(b"<")
    desk.do(api.pay(town.ned, town.shop, 60, till=till, signer=staff))
    day = leo.do(api.merchant_day(tea, "2026-11-02"))
    assert {(each.outlet, each.till, each.gross_minor) for each in day.tills} >= {("KIOSK", "K1", 60)}
    assert day.closing_minor == town.balance(town.shop)
    assert again(leo, api.close_till(tea, till)) == "closed"
    assert again(leo, api.close_outlet(tea, outlet)) == "closed"
    for decide, state, balance in (
        (api.reject_sweep, "rejected", day.closing_minor),
        (api.confirm_sweep, "confirmed", 0),
    ):
        swept = again(desk, api.sweep(tea, town.shop, signer=staff))
        assert (swept.minor, swept.state) == (day.closing_minor, "sent")
        assert (again(desk, decide(swept.sweep)).state, town.balance(town.shop)) == (state, balance)
    assert [each.state for each in leo.rows(api.sweeps(tea))] == ["rejected", "confirmed"]


def test_an_operators_bank_pays_and_collects(street: Street, desk: Client, leo: Client) -> None:
    town, staff = street.place.town, street.place.staff
    sent = again(desk, api.defund(town.ned, 1_00, "OUT-1", signer=staff))
    (row,) = [each for each in desk.rows(api.fundings(2, "sent")) if each.funding == sent.id]
    assert (row.direction, row.minor, row.bank_reference) == ("out", 1_00, "OUT-1")
    assert desk.do(api.confirm(sent.id)).state == "confirmed"
    assert "OUT-1" in [each.bank_reference for each in desk.rows(api.wallet_fundings(town.ned))]
    # The excess over a limit goes to the bank.
    full = opened(street, desk, "Xia", 4)
    desk.do(api.confirm(desk.do(api.fund(full, 10_000_00, "IN-9", staff)).id))
    desk.do(api.link_bank(full, "CN00 2", staff))
    for decide, state in ((api.reject_waterfall, "rejected"), (api.confirm_waterfall, "confirmed")):
        paid = leo.do(api.pay(street.wallet, full, 2_00))
        (excess,) = desk.rows(api.waterfalls(2))
        assert (excess.payment, excess.wallet) == (paid.id, full)
        assert again(desk, decide(2, excess.payment)).state == state


def test_the_bank_collects_what_a_payment_lacks(street: Street, desk: Client, leo: Client) -> None:
    town, staff = street.place.town, street.place.staff
    desk.do(api.link_bank(town.leo, "CN00 3", staff))
    again(leo, api.grant_mandate(street.wallet, 900_00))
    assert leo.do(api.mandate(town.leo)).day_max_minor == 900_00
    lacking = town.balance(town.leo) + 5_00
    for decide, state in (("reject", "rejected"), ("fund", "paid")):
        asked = again(leo, api.ask_bank(street.wallet, town.shop, lacking, order=f"S-{decide}"))
        assert (asked.missing_minor, asked.state) == (5_00, "asked")
        (waiting,) = desk.rows(api.shortfalls(2))
        assert (waiting.payment, waiting.wallet) == (asked.payment, ids.format(town.leo))
        call = api.reject_shortfall(asked.payment) if decide == "reject" else api.fund_shortfall(waiting, staff)
        assert again(desk, call).state == state
    assert town.balance(town.leo) == 0
    again(leo, api.end_mandate(town.leo))
    assert leo.do(api.mandate(town.leo)).id is None


# --- the central bank ---


def test_officers_and_operators_propose(street: Street, desk: Client, ann: Client) -> None:
    later = {"effective_ns": street.now_ns + DAY_NS}
    north = next(each for each in desk.do(api.operators()) if each.number == 2)
    assert (north.name, north.state, north.money is not None) == ("North Bank", "active", True)
    rule = ReserveRule("class-4", "2026-11-05", "issuer", 1_000_000, "decree 5")
    made = [
        again(ann, call)
        for call in (
            api.propose_reserves(2, 500), api.propose_mint(2, 500), api.propose_quota(2, 10**12, **later),
            api.propose_cap(10**9, **later), api.propose_reserve_rules([rule]),
        )
    ]  # fmt: skip
    made.append(again(desk, api.propose_redemption(2, 500)))
    assert {each.state for each in made} == {"open"}
    actions = {each.proposal: each.action for each in ann.rows(api.proposals("open"))}
    assert [actions[each.proposal] for each in made] == [
        "reserves.credit", "mint", "quota.change", "cap.change", "reserve-rule.set", "redeem"
    ]  # fmt: skip
    assert ann.do(api.reserve_rules("2026-11-05")) == ()
    for each in made:
        assert ann.do(api.withdraw_proposal(each.proposal)).state == "withdrawn"
    with pytest.raises(NotPermitted):
        desk.do(api.propose_cap(1, **later))
    with pytest.raises(InvalidRequest, match="open wallets"):
        ann.do(api.propose_leave(2))


def test_institutions_are_entered_and_shown(street: Street, desk: Client, ann: Client) -> None:
    owner = ids.new(1)
    shop = again(desk, api.enter_institution("merchant", "Noodles", operator=2, owners={owner: 10**6}))
    assert again(desk, api.state_settlement(shop, "CN00 1234")) == shop
    shown = desk.do(api.institution(shop))
    assert (shown.name, shown.settlement, shown.state) == ("Noodles", "stated", "applied")
    assert [(each.person, each.share_ppm) for each in desk.do(api.owners(shop))] == [(ids.format(owner), 10**6)]
    assert shop in [each.institution for each in desk.rows(api.institutions("merchant"))]
    bank = ann.do(api.enter_institution("operator", "West Bank", owners={owner: 10**6}, participant="west"))
    with pytest.raises(InvalidRequest, match="not passed: owners, papers"):
        ann.do(api.propose_join(bank, 10**9, NEW.public, until_ns=street.now_ns + DAY_NS))


# --- persons, programs, webhooks ---


def test_persons_read_their_own_data_and_duties(street: Street, leo: Client) -> None:
    person = ids.format(street.place.town.holder(street.place.town.leo))
    me = leo.do(api.me())
    assert (me.person, [each.duty for each in me.duties], me.keys) == (person, ["merchant"], (str(LEOS.public),))
    with pytest.raises(NotPermitted, match="programs do not act on the logins of a person"):
        leo.do(read("/v1/me/data", dict, query={"fields": ["name"]}))
    assert leo.do(api.own_access_log()) == ()
    with pytest.raises(NotFound):
        leo.do(api.ward_access_log(street.place.town.holder(street.place.town.mia)))
    with street.place.client(street.audrey) as audrey:
        assert person in {each.person for each in audrey.do(api.duties())}


def test_a_dead_letter_is_sent_again_and_shown_without_its_phone(street: Street, ann: Client) -> None:
    town = street.place.town
    letter = ids.format(dead_letter(town.bank, town.holder(town.leo)))
    (shown,) = (each for each in ann.rows(api.undelivered_messages()) if each.message == letter)
    assert (shown.person, shown.text) == (ids.format(town.holder(town.leo)), "LOGIN_CREATED")
    assert (shown.state, shown.attempts, shown.reason, shown.retry_at) == ("dead", 1, "status 500", None)
    assert not {"phone", "channel", "secret"} & {each.name for each in fields(shown)}
    assert again(ann, api.send_message_again(letter)) == letter
    assert list(ann.rows(api.undelivered_messages()))[-1].state == "waiting"
    with pytest.raises(NotFound):
        ann.do(api.send_message_again(5))


def test_programs_and_logins_are_ended(street: Street, desk: Client) -> None:
    bank = street.place.town
    extra = program(bank, 160, bank.north, 2)
    assert extra.client in {each.client for each in desk.do(api.clients()) if each.revoked is None}
    assert again(desk, api.revoke_client(extra.client)) == extra.client
    invitation = api.invite(bank.holder(bank.ned), hours=2)
    issued, repeated = desk.do(invitation), desk.do(invitation)
    assert (bool(issued.first_half), repeated.first_half) == (True, None)
    assert (repeated.invitation, repeated.from_) == (issued.invitation, issued.from_)
    assert again(desk, api.revoke_invitation(issued.invitation)) == issued.invitation
    person = ids.format(bank.holder(bank.ned))
    (row,) = (each for each in desk.rows(api.invitations()) if each.invitation == issued.invitation)
    assert (row.person, row.from_, row.state, row.recovery) == (person, issued.from_, "revoked", None)
    assert again(desk, api.end_logins(person)) == person


def test_a_recovery_is_proposed_and_first_uses_are_listed(street: Street, desk: Client, ann: Client) -> None:
    bank = street.place.town
    person = bank.holder(bank.ned)
    made = again(desk, api.recover_login(person, "passport seen at the counter", letter=True))
    assert made.needs != ()
    assert desk.do(api.withdraw_proposal(made.proposal)).state == "withdrawn"
    with pytest.raises(NotPermitted):
        desk.do(api.logins())
    assert list(ann.rows(api.logins())) == []


def test_an_officer_registers_a_program_with_a_key_of_its_own(street: Street, ann: Client) -> None:
    town = street.place.town
    officer = Signer(world.person(town.bank, world.ANN), world.ANN)
    made = again(ann, api.register_client(town.north, "figures", NEW.public, officer, operator=2, read_only=True))
    with street.place.client(Credentials(made, NEW)) as program:
        assert program.do(api.session()).scopes == {"read"}
        assert list(program.rows(api.refusals(2))) == []
    lied = street.place.client(street.place.ann, transport=Lying(_message))
    with lied as bank, pytest.raises(ContradictsRequest, match="another content"):
        bank.do(api.register_client(town.north, "figures", TILL.public, officer, operator=2))
    assert list(ann.rows(api.backups())) == []
    with pytest.raises(NotFound):
        ann.do(api.backup(5))


def test_a_webhook_is_listed_enabled_and_removed(desk: Client) -> None:
    name = again(desk, api.webhook("http://127.0.0.1:9/sycee", types=["payment.made"]))
    assert [each.types for each in desk.do(api.webhooks()) if each.id == name] == [("payment.made",)]
    assert desk.do(api.show_webhook(name)).url == "http://127.0.0.1:9/sycee"
    assert again(desk, api.enable_webhook(name)) == name
    assert desk.do(api.dead_letters(name)) == ()
    assert again(desk, api.resend_dead_letters(name)) == name
    desk.do(api.remove_webhook(name))
    with pytest.raises(NotFound):
        desk.do(api.remove_webhook(name))


# --- lies ---


def _record(members: dict[str, Any]) -> None:
    """Change the last record to sign."""
    if "to_sign" in members:
        records = np.frombuffer(base64.b64decode(members["to_sign"]["records"]), OPERATION).copy()
        records["code"][-1] = 7
        members["to_sign"]["records"] = base64.b64encode(records.tobytes()).decode()


def _message(members: dict[str, Any]) -> None:
    """Change the message to sign."""
    if "message_to_sign" in members:
        members["message_to_sign"]["message"] = "00" * 32


def _document(members: dict[str, Any]) -> None:
    """Change what the message is said to be about."""
    if "message_to_sign" in members:
        members["message_to_sign"]["document"] = {"alias_hash": "00" * 15}


def test_no_other_record_is_signed(street: Street, desk: Client) -> None:
    town, staff, proof = street.place.town, street.place.staff, bytes(64)
    ned, later = town.ned, street.now_ns + HOUR_NS
    wallet = opened(street, desk, "Yan", 5)
    proof = desk.do(api.prove_key(wallet, NEW))
    calls = [
        api.open_wallet(town.holder(ned), operator=2, tier="class-4", signer=staff),
        api.close_wallet(wallet, staff),
        api.link_bank(ned, "CN00 9", staff),
        api.set_key(wallet, NEW.public, proof, staff),
        api.hold(ned, town.shop, 5, until_ns=later, signer=staff),
        api.defund(ned, 5, "LIE-1", signer=staff),
    ]
    with street.place.client(street.place.desk, transport=Lying(_record)) as lied:
        for call in calls:
            with pytest.raises(ContradictsRequest, match="another operation"):
                lied.do(call)
    assert desk.do(api.keys(wallet)).key == ""


@pytest.mark.parametrize("lie", [_message, _document])
def test_no_other_message_is_signed(street: Street, lie: Callable[[dict[str, Any]], None]) -> None:
    wallet, until_ns = street.wallet, street.now_ns + HOUR_NS
    calls: list[Call[Any]] = [api.register_handle(wallet, "@other")]
    if lie is _message:
        calls += [api.ask(wallet, 5, expires_ns=until_ns), api.challenge_phone(wallet, "+86 139 2222 0001")]
    with street.place.client(street.leo, transport=Lying(lie)) as lied:
        for call in calls:
            with pytest.raises(ContradictsRequest):
                lied.do(call)


# --- the day: it moves the clock, so it is last ---


def test_a_day_is_closed_countersigned_and_verified(street: Street, ann: Client) -> None:
    made, bank = street.place, street.place.town.bank
    carol, dora = (Signer(world.person(bank, key), key) for key in (CAROL, DORA))
    bank.set_clock(START_NS + DAY_NS)
    with (
        made.client(street.carol) as closing,
        made.client(street.dora) as checking,
        made.client(street.audrey) as audit,
    ):
        day = closing.do(api.next_day())

        def refuse(document: Any) -> None:
            raise ValueError(f"the supply is {document['supply']}")

        with pytest.raises(ValueError, match="the supply is"):
            closing.do(api.close_day(day, carol, check=refuse))
        for name, other in (("day", "2026-11-01"), ("supply", "5")):

            def lie(members: dict[str, Any], name: str = name, other: str = other) -> None:
                if "message_to_sign" in members:
                    members["message_to_sign"]["document"][name] = other

            with made.client(street.carol, transport=Lying(lie)) as lied, pytest.raises(ContradictsRequest):
                lied.do(api.close_day(day, carol))
        seen: list[Any] = []
        call = api.close_day(day, carol, statements={}, check=seen.append)
        done = again(closing, call)
        assert (seen[0]["day"], seen[0]["closed_by"]) == (day, ids.format(carol.id))
        with pytest.raises(ContradictsRequest):
            checking.do(api.countersign_day(day, "00" * 32, dora))
        with pytest.raises(UsageError, match="no digest of a pack"):
            checking.do(api.countersign_day(day, "pack", dora))
        assert again(checking, api.countersign_day(day, done.pack, dora)).pack == done.pack
        (closed,) = audit.do(api.days())
        assert (closed.state, closed.countersigned_by, closed.pack) == ("signed", ids.format(dora.id), done.pack)
        files = {day: audit.do(api.pack(day))}
        keys = [CAROL.public, DORA.public]
        (verified,) = packs.verified(files, keys)
        assert (verified.digest.hex(), verified.day.isoformat()) == (done.pack, day)
        changed = {day: files[day].replace(b'"rehearsal": true', b'"rehearsal": false')}
        assert changed != files
        other_day = {"2026-11-09": files[day]}
        for wrong, trusted in ((changed, keys), (files, keys[:1]), (other_day, keys)):
            with pytest.raises(IntegrityError):
                packs.verified(wrong, trusted)
        with pytest.raises(UsageError, match="no key was given"):
            packs.verified(files, [])
        with pytest.raises(UsageError, match="no pack of a day"):
            packs.verified({day: json.dumps({}).encode()}, keys)
        breaks = ann.do(api.breaks(closed=True))
        assert [each.number for each in breaks] == list(range(1, len(breaks) + 1))
        with pytest.raises(NotFound):
            closing.do(api.assign_break(999, carol.id))
        with pytest.raises(NotFound):
            closing.do(api.close_break(999, "checked"))
