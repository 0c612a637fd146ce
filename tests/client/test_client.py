"""The client against a real server: logins, payments, lost answers, lies, and errors."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.client.world import DEADLINE_S, Losing, Lying, Place, first, place
from tests.wallets import world
from tests.wallets.world import LEO_KEY, MIA_KEY

from sycee.client import (
    AsyncClient,
    Client,
    ContradictsRequest,
    Credentials,
    IdConflict,
    InvalidRequest,
    LostConnection,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    Refused,
    Signer,
    api,
    clients,
)
from sycee.client.calls import listed
from sycee.core import ids
from sycee.core.errors import UsageError
from sycee.core.keys import SigningKey
from sycee.core.records import describe
from sycee.core.records.layout import OPERATION


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("client")) as made:
        yield made


@pytest.fixture(scope="module")
def desk(town: Place) -> Iterator[Client]:
    with town.client(town.desk) as made:
        yield made


def test_everybody_reads_the_supply(town: Place) -> None:
    with town.client() as bank:
        assert bank.do(api.ready()) > 0
        assert int(bank.do(api.supply())["supply"]) > 0


def test_a_program_is_known_by_its_key(town: Place, desk: Client) -> None:
    caller = desk.do(api.session())
    assert (caller.kind, caller.operator, caller.scopes) == ("machine", 2, {"read", "write"})
    assert caller.person == ids.format(town.town.north)
    wrong = Credentials(town.desk.client, SigningKey.generate())
    with town.client(wrong) as bank, pytest.raises(NotAuthenticated, match="invalid_client") as refused:
        bank.do(api.session())
    assert "revoked" in (refused.value.hint or "")


def test_a_token_that_the_server_forgot_is_replaced(town: Place) -> None:
    with town.client(town.desk) as bank:
        bank.do(api.session())
        tokens = bank._session.tokens
        assert tokens is not None
        tokens._token = "x" + tokens._token
        assert bank.do(api.session()).kind == "machine"


@pytest.mark.parametrize("wrong_s", [-100, 100])
def test_a_clock_that_is_wrong_needs_a_nonce_of_the_server(town: Place, wrong_s: int) -> None:
    sent: list[str] = []
    transport = Losing(lambda _: False, sent)
    with town.client(town.desk, machine_ns=lambda: time.time_ns() + wrong_s * 10**9, transport=transport) as bank:
        assert bank.do(api.session()).kind == "machine"
        assert bank.do(api.session()).kind == "machine"
    assert sent == [*2 * ["POST /oauth/token"], *2 * ["GET /auth/session"]]


def test_a_payment_is_signed_here_and_made_once(town: Place, desk: Client) -> None:
    shop = town.town.shop
    before = town.town.balance(shop)
    call = api.pay(town.town.ned, shop, 1_250, text="two teas", order="C-7", till=town.town.till_1, signer=town.staff)
    done = desk.do(call)
    assert (done.id, done.state) == (call.id, "paid")
    assert desk.do(call) == done
    assert town.town.balance(shop) == before + 1_250
    order = desk.do(api.order(shop, "C-7"))
    assert (order.is_paid, order.payment, order.minor, order.refunded_minor) == (True, done.id, 1_250, 0)
    assert desk.do(api.result_of(done.id)).result == "PAID"
    returned = desk.do(api.refund(done.id, 250, shop, till=town.town.till_1, signer=town.staff))
    assert returned.state == "paid"
    assert desk.do(api.order(shop, "C-7")).refunded_minor == 250


def test_a_wallet_and_its_statement_are_read_page_after_page(town: Place, desk: Client) -> None:
    paid = [desk.do(api.pay(town.town.ned, town.town.shop, 10 + at, signer=town.staff)).id for at in range(5)]
    wallet = desk.do(api.wallet(town.town.ned))
    assert (wallet.currency, wallet.is_custodial, wallet.tier) == ("CNY", True, "class-4")
    assert wallet.balance_minor == town.town.balance(town.town.ned)
    two = listed(f"/v1/wallets/{wallet.wallet}/statement", lambda row: row["operation"], query={"limit": "2"})
    assert list(islice(desk.rows(two), 5)) == paid[::-1]
    newest = next(desk.rows(api.statement(town.town.ned)))
    assert (newest.amount_minor, newest.balance_minor) == (-14, wallet.balance_minor)
    with pytest.raises(NotFound):
        desk.do(api.wallet(1))


def test_a_lost_answer_is_asked_for_again(town: Place) -> None:
    shop = town.town.shop
    before = town.town.balance(shop)
    transport = Losing(first(3))
    with town.client(town.desk, transport=transport) as bank:
        bank.do(api.pay(town.town.ned, shop, 100, text="once", signer=town.staff))
    assert town.town.balance(shop) == before + 100
    assert len([each for each in transport.sent if "payments" in each]) >= 5


def test_after_the_deadline_the_same_call_completes(town: Place) -> None:
    shop = town.town.shop
    before = town.town.balance(shop)
    call = api.pay(town.town.ned, shop, 7, text="late", signer=town.staff)
    signed = [0]

    def lose_what_is_signed(request: Any) -> bool:
        signed[0] += b"envelopes" in request.content
        return b"envelopes" in request.content

    with (
        town.client(town.desk, transport=Losing(lose_what_is_signed), deadline_s=0.3) as bank,
        pytest.raises(LostConnection, match="ReadError the connection was lost"),
    ):
        bank.do(call)
    assert signed[0] >= 1
    with town.client(town.desk) as bank:
        assert bank.do(call).state == "paid"
    assert town.town.balance(shop) == before + 7


def test_a_signed_payment_needs_no_login(town: Place) -> None:
    shop = town.town.shop
    before = town.town.balance(shop)
    transport = Losing(first(1))
    with town.client(transport=transport) as bank:
        call = api.pay_signed(town.leo, shop, 300)
        made = bank.do(call)
        assert (made.id, made.is_repeated) == (call.id, True)  # the first answer was lost
        assert bank.do(call) == made
        with pytest.raises(IdConflict):
            bank.do(api.pay_signed(town.leo, shop, 301, id=ids.parse(call.id)))
        with pytest.raises(Refused) as refused:
            bank.do(api.pay_signed(town.leo, shop, 10**9))
    assert refused.value.code == "EXCEEDS_BALANCE"
    assert refused.value.request_id or refused.value.type == "/problems/refused"
    assert town.town.balance(shop) == before + 300


def _amount(members: dict[str, Any]) -> None:
    _edit(members, "amount", 999)


def _payee(members: dict[str, Any]) -> None:
    _edit(members, "credit_low", 1)


def _note(members: dict[str, Any]) -> None:
    _edit(members, "note_low", 1)


def _kind(members: dict[str, Any]) -> None:
    _edit(members, "kind", 30)


def _hidden(members: dict[str, Any]) -> None:
    _edit(members, "until_ns", 1)


def _second(members: dict[str, Any]) -> None:
    members["to_sign"]["records"] = base64.b64encode(2 * base64.b64decode(members["to_sign"]["records"])).decode()


def _until(members: dict[str, Any]) -> None:
    members["to_sign"]["valid_until_ns"] = str(2**62)


def _garbage(members: dict[str, Any]) -> None:
    members["to_sign"]["records"] = "AAAA"


def _edit(members: dict[str, Any], name: str, value: int) -> None:
    records = np.frombuffer(base64.b64decode(members["to_sign"]["records"]), OPERATION).copy()
    records[name] = value
    members["to_sign"]["records"] = base64.b64encode(records.tobytes()).decode()


@pytest.mark.parametrize("lie", [_amount, _payee, _note, _kind, _hidden, _second, _until, _garbage])
def test_nothing_is_signed_that_was_not_requested(town: Place, lie: Callable[[dict[str, Any]], None]) -> None:
    before = town.town.balance(town.town.ned)
    with town.client(town.desk, transport=Lying(lie)) as bank, pytest.raises(ContradictsRequest) as found:
        bank.do(api.pay(town.town.ned, town.town.shop, 10, text="x", signer=town.staff))
    assert found.value.exit_code == 3
    assert town.town.balance(town.town.ned) == before


def test_an_answer_about_another_payment_is_refused(town: Place) -> None:
    def other(members: dict[str, Any]) -> None:
        members["id"] = ids.format(1)

    with town.client(transport=Lying(other)) as bank, pytest.raises(ContradictsRequest, match="the answer has id"):
        bank.do(api.pay_signed(town.leo, town.town.shop, 1))


def test_a_client_signs_in_one_ledger_only(town: Place) -> None:
    def foreign(members: dict[str, Any]) -> None:
        if "to_sign" in members:
            members["to_sign"]["ledger_id"] = "00" * 16

    call = api.pay(town.town.ned, town.town.shop, 1, text="x", signer=town.staff)
    known = town.town.bank.stores.ledger.ledger_id.hex()
    for options, message in (
        ({"ledger_id": known, "transport": Lying(foreign)}, "the ledger 0{32}, not in "),
        ({"ledger_id": "ab" * 16}, f"the ledger {known}, not in abab"),
    ):
        with town.client(town.desk, **options) as bank, pytest.raises(ContradictsRequest, match=message):
            bank.do(call)
    with town.client(town.desk) as bank:
        bank.do(api.payer(town.staff, key_epoch=1))
        bank.do(call)


def test_officers_sign_a_proposal_after_they_decoded_it(town: Place, desk: Client) -> None:
    made = town.town.bank.issuance.mint(2, 100, maker=world.person(town.town.bank, world.ANN))
    with town.client(town.ann) as ann, town.client(town.bob) as bob:
        assert [each.action for each in bob.rows(api.proposals("open"))] == ["mint"]
        found = bob.do(api.proposal(made.id))
        assert found.digest == made.digest
        assert any("100 minor units" in line for line in describe.lines(found.records))
        for bank, person, key in ((ann, world.ANN, world.ANN), (bob, world.BOB, world.BOB)):
            signature = api.sign(found, Signer(world.person(town.town.bank, person), key))
            assert bank.do(signature).state == "open"
            assert bank.do(signature).state == "open"
    after = desk.do(api.sign(found, town.staff))  # more than the reserves that were recorded
    assert (after.state, after.code) == ("refused", "EXCEEDS_BALANCE")

    def more(members: dict[str, Any]) -> None:
        members["document"]["effect"] = {**members["document"]["effect"], "operator": 3}

    with town.client(town.bob, transport=Lying(more)) as bob, pytest.raises(ContradictsRequest, match="digest"):
        bob.do(api.proposal(made.id))


def test_a_request_is_paid_as_the_payer_saw_it(town: Place, desk: Client) -> None:
    bank = town.town.bank
    asked = bank.requests.ask(
        town.town.leo, 30, key=LEO_KEY, expires_ns=bank.stores.clock.now_ns() + 10**12, payer=town.town.ned
    )
    for payee, minor in ((town.town.leo, 29), (town.town.mia, 30)):
        with pytest.raises(ContradictsRequest):
            desk.do(api.pay_request(asked.id, town.town.ned, payee, minor, signer=town.staff))
    paid = desk.do(api.pay_request(asked.id, town.town.ned, town.town.leo, 30, signer=town.staff))
    assert (paid.state, paid.request) == ("paid", ids.format(asked.id))
    found = desk.do(api.resolve("+86 138 0000 0001"))
    assert (found.wallet, found.name) == (ids.format(town.town.leo), "L** M**********")


def test_an_answer_without_end_is_refused(town: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "ANSWER_BYTES_MAX", 100)
    with town.client() as bank, pytest.raises(ContradictsRequest, match="more than 100 bytes"):
        bank.do(api.supply())

    async def main() -> None:
        async with AsyncClient(town.address) as bank:
            await bank.do(api.supply())

    with pytest.raises(ContradictsRequest, match="more than 100 bytes"):
        asyncio.run(main())


def test_threads_share_a_client(town: Place) -> None:
    before = town.town.balance(town.town.shop)
    with town.client(town.desk) as bank, ThreadPoolExecutor(4) as threads:
        calls = [api.pay(town.town.ned, town.town.shop, 1, signer=town.staff) for _ in range(12)]
        assert [each.id for each in threads.map(bank.do, calls)] == [call.id for call in calls]
    assert town.town.balance(town.town.shop) == before + 12


def test_errors_have_types_and_hints(town: Place, desk: Client) -> None:
    with pytest.raises(NotFound):
        desk.do(api.result_of(12345))
    with pytest.raises(NotFound) as foreign:  # Leo's wallet has a key of its own: North cannot pay from it
        desk.do(api.pay(town.town.leo, town.town.shop, 1, signer=town.staff))
    assert (foreign.value.status, foreign.value.exit_code) == (404, 2)
    assert foreign.value.request_id
    with pytest.raises(InvalidRequest, match="minor"):
        desk.do(api.pay(town.town.ned, town.town.shop, -1, signer=town.staff))
    with town.client(town.reader) as bank, pytest.raises(NotPermitted):
        bank.do(api.pay(town.town.ned, town.town.shop, 1, signer=town.staff))
    with town.client() as bank, pytest.raises(NotAuthenticated):
        bank.do(api.session())
    with pytest.raises(UsageError, match="has the key"):
        desk.do(api.pay(town.town.ned, town.town.shop, 1, text="x", signer=Signer(town.town.north, MIA_KEY)))


def test_no_server_is_a_lost_connection() -> None:
    with Client("http://127.0.0.1:9", deadline_s=0.2) as bank, pytest.raises(LostConnection, match="ConnectError"):
        bank.do(api.ready())
    for wrong in ("localhost:8420", "ftp://bank.example", "http://bank.example/v1"):
        with pytest.raises(UsageError, match="not the address of a server"):
            Client(wrong)


def test_the_async_client_does_the_same(town: Place) -> None:
    before = town.town.balance(town.town.shop)

    async def main() -> None:
        async with AsyncClient(town.address, town.desk, origin=town.origin, deadline_s=DEADLINE_S) as bank:
            calls = [api.pay(town.town.ned, town.town.shop, 5, text="tea", signer=town.staff) for _ in range(4)]
            done = await asyncio.gather(*(bank.do(call) for call in calls))
            assert [each.id for each in done] == [call.id for call in calls]
            again = await bank.do(calls[0])
            assert again == done[0]
            with pytest.raises(Refused, match="EXCEEDS_BALANCE"):
                await bank.do(api.pay(town.town.ned, town.town.shop, 10**8, text="x", signer=town.staff))

    asyncio.run(main())
    assert town.town.balance(town.town.shop) == before + 20


def test_the_package_needs_neither_numba_nor_the_server(tmp_path: Path) -> None:
    import subprocess
    import sys

    script = (
        "import sys, sycee.client; "
        "loaded = [name for name in ('numba', 'sqlalchemy', 'fastapi', 'sycee.ledger') if name in sys.modules]; "
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
