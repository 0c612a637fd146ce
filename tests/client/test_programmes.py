"""A programme through the client: the operator signs what it requested, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.programmes import world
from tests.programmes.world import ANN, BEACON_VALUE, BOB, FILE, NORTH, Register, moment, person
from tests.server.world import served

from sycee.bank.bank import Bank
from sycee.client import Client, Credentials, Signer, api
from sycee.client.errors import ContradictsRequest
from sycee.core import ids
from sycee.core.keys import SigningKey
from sycee.core.records import parts
from sycee.server.auth.registers import Registers
from sycee.server.tables import SCHEMA

NAME = "autumn-2026"


@dataclass(frozen=True)
class Place:
    bank: Bank
    north: Client
    ann: Client
    signer: Signer


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    world.at("funded").copy(tmp_path)
    with world.opened(tmp_path, {}) as bank:
        bank.add_schema(SCHEMA)
        clients, officer = Registers(bank).clients, person(bank, ANN)
        programs = []
        for number, (key, operator) in enumerate(((NORTH, 2), (ANN, None))):
            own = SigningKey.derive(bytes([120 + number]) * 32)
            made = clients.register(person(bank, key), own.public, by=officer, name=f"no. {number}", operator=operator)
            programs.append(Credentials(ids.format(made.id), own))
        with served(bank) as address:
            options = {"origin": bank.config.text("http_origin"), "now_ns": bank.stores.clock.now_ns}
            with Client(address, programs[0], **options) as north, Client(address, programs[1], **options) as ann:
                yield Place(bank, north, ann, Signer(person(bank, NORTH), NORTH))


def test_a_programme_through_the_client(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PURSES_MAX", 1)  # five parts of the drop, each with its signature
    bank, north, ann, signer = place.bank, place.north, place.ann, place.signer
    opened = north.do(api.open_funder("A second city", 2, signer))
    assert north.do(api.fund_funder(opened.account, 500_00, signer)).balance_minor == 500_00
    assert north.do(api.fund_funder(opened.account, 340_00, signer, out=True)).balance_minor == 160_00
    assert {each.name for each in north.do(api.funders())} == {"City of Examples", "A second city"}
    assert north.do(api.draft_programme(FILE, opened.account)).state == "draft"
    tried = north.do(api.try_programme(NAME))
    assert (tried.ok, [each.minor for each in tried.shares]) == (True, [50_00, 20_00])
    bank.set_clock(moment(3, 9))
    assert north.do(api.open_registration(NAME)).state == "registration"
    bank.set_clock(moment(5))
    north.do(api.freeze_list(NAME))
    published = north.do(api.publish_list(NAME))
    assert len(north.do(api.programme_file(NAME, 0, "entries.bin"))) == 9 * 32
    bank.set_clock(moment(6, 13))
    for client in (north, ann):
        brought = client.do(api.bring_beacon(NAME, 0, BEACON_VALUE))
    assert brought == {BEACON_VALUE.hex(): 2}
    assert north.do(api.draw_winners(NAME)).members == 5
    terms = ann.do(api.propose_terms(NAME))
    assert bank.proposals.sign(ids.parse(terms.proposal), ANN, BOB).needs == ()
    members = [ids.to_int(each) for each in bank.programmes.cohort_of(NAME).members]
    number = north.do(api.occurrence(NAME)).number or 0
    with pytest.raises(ContradictsRequest, match="another operation"):
        north.do(api.allot_cohort(NAME, 0, [*members[1:], members[0]], signer, programme_number=number))
    assert north.do(api.allot_cohort(NAME, 0, members, signer, programme_number=number)).state == "allotted"
    wrong = [replace(tried.shares[0], minor=49_99), tried.shares[1]]
    with pytest.raises(ContradictsRequest, match="another operation"):
        north.do(api.drop_packets(NAME, 0, wrong, signer, programme_number=number))
    assert north.do(api.drop_packets(NAME, 0, tried.shares, signer, programme_number=number)).dropped_minor == 160_00
    bank.set_clock(moment(7, 9))
    register = bank.programmes.registered
    assert isinstance(register, Register)
    member = next(each for each in members if register.banks_of(NAME, 0, [each]) == ["north"])
    call = api.claim_packet(NAME, 0, member, register.wallet_of(member).account, signer)
    assert north.do(call) == north.do(call) == call.id
    assert ann.do(api.halt_programme(NAME, "a rumour")) == "a rumour"
    assert north.do(api.programme(NAME)).halted == "a rumour"
    resumed = north.do(api.propose_resume(NAME, "it was false"))
    assert bank.proposals.sign(ids.parse(resumed.proposal), NORTH, ANN).needs == ()
    bank.set_clock(moment(15))
    bank.stores.jobs.wait()
    ended = north.do(api.close_occurrence(NAME))
    assert (ended.state, ended.claimed, ended.returned_minor) == ("closed", 1, 160_00)
    assert ended.announcement == published.announcement
    assert [each.state for each in north.rows(api.programmes())] == ["closed"]
    assert bank.check() == []
