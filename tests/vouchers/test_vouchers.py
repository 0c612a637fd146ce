"""Vouchers of a group: reserved, activated, redeemed in parts, cancelled and expired; each refusal has its code."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.programmes import world
from tests.programmes.shops_town import NAME
from tests.programmes.world import ANN, BOB, NORTH, SOUTH, moment, person
from tests.vouchers.town import BUDGET, GROUP, ID, LEFT, UNTIL_NS, Town, propose, town

from sycee.core.errors import NotFound, UsageError
from sycee.core.records import operations
from sycee.core.records.layout import HoldState
from sycee.core.result_codes import Result
from sycee.identity.people import DutyMissing
from sycee.vouchers import numbers
from sycee.vouchers.refusals import AttemptsExhausted, Code, VoucherRefused
from sycee.vouchers.service import ATTEMPTS_MAX

NAMES = itertools.count(1)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("vouchers")) as made:
        yield made


@pytest.fixture
def place(shared: Town) -> Iterator[Town]:
    """The shared bank with a group of its own, which agrees with the ledger after the test."""
    group = f"group-{next(NAMES)}"
    propose(shared.bank, group, budget=40_00)
    yield Town(shared.bank, group)
    assert shared.bank.check() == []


def refused(code: Code) -> pytest.RaisesExc[VoucherRefused]:
    return pytest.raises(VoucherRefused, match=rf": {code}(\n|$)")


def test_a_voucher_is_redeemed_in_parts(place: Town) -> None:
    bank, funder, shop = place.bank, place.balance(place.funder), place.balance(place.tea)
    (made,) = place.reserve(10_00)
    assert (made.step, made.outcome, made.code, made.minor, made.state) == (
        "reserve",
        "done",
        "",
        10_00,
        "preactivated",
    )
    number = place.number(made.serial)
    with refused(Code.VOUCHER_NOT_ACTIVATED):
        place.redeem(number, 1_00)
    assert place.activate(made.serial) == [""]
    assert place.balance(place.funder) == funder  # held, not moved
    first = place.redeem(numbers.printed(number), 4_00)
    assert (first.serial, first.minor, first.rest_minor, first.state) == (made.serial, 4_00, 6_00, "activated")
    with refused(Code.EXCEEDS_VOUCHER):
        place.redeem(number, 6_01)
    last = place.redeem(number, 6_00, beneficiary="child 0001")
    assert (last.rest_minor, last.state) == (0, "redeemed")
    with refused(Code.VOUCHER_USED):
        place.redeem(number, 1)
    assert (place.balance(place.funder), place.balance(place.tea)) == (funder - 10_00, shop + 10_00)
    assert place.balance(bank.vouchers.groups.get(place.group).account) == 0
    hold = bank.stores.ledger.find_hold(bank.vouchers.get(made.serial).hold)
    assert hold is not None
    assert hold.state is HoldState.POSTED
    steps = [(each.step, each.state, each.minor, each.who) for each in bank.vouchers.steps(made.serial)]
    assert steps == [
        ("reserve", "done", 10_00, place.north), ("print", "done", 0, place.north),
        ("activate", "done", 0, place.north), ("redeem", "done", 4_00, place.north),
        ("redeem", "done", 6_00, place.north),
    ]  # fmt: skip


def test_the_budget_of_a_group_counts_as_exposure(place: Town) -> None:
    programmes, before = place.bank.programmes, place.bank.programmes.exposure()
    packets = before - place.bank.vouchers.groups.unspent_minor()
    assert packets == programmes.figures(NAME).left_minor
    ((_, number),) = place.ready(10_00)
    place.redeem(number, 4_00)
    assert programmes.exposure() == before - 4_00
    try:
        programmes.exposure_max_minor = before
        with pytest.raises(UsageError, match=r"the group more has vouchers of 4\.01, .* more than the maximum of"):
            propose(place.bank, "more", budget=4_01)
        propose(place.bank, f"more-{place.group}", budget=4_00)
        assert programmes.exposure() == before
    finally:
        programmes.exposure_max_minor = 0


def test_requests_are_done_once(place: Town) -> None:
    bank, new = place.bank, place.bank.stores.ledger.new_id
    batch, activation, payment, cancellation = new(), new(), new(), new()
    first = place.reserve(5_00, 6_00, id=batch)
    assert place.reserve(5_00, 6_00, id=batch) == first == bank.vouchers.batch(batch)
    one, two = (each.serial for each in first)
    assert place.activate(one, two, id=activation) == place.activate(one, two, id=activation) == ["", ""]
    number, shop = place.number(one), place.balance(place.tea)
    paid = place.redeem(number, 2_00, operation=payment)
    assert place.redeem(number, 2_00, operation=payment) == paid
    assert place.balance(place.tea) == shop + 2_00
    with pytest.raises(UsageError, match="another redemption has the id"):
        place.redeem(number, 3_00, operation=payment)
    assert place.cancel(one, two, id=cancellation) == place.cancel(one, two, id=cancellation) == ["", ""]
    rows = bank.vouchers.batch(cancellation)
    assert [(each.serial, each.minor, each.state) for each in rows] == [
        (one, 3_00, "cancelled"), (two, 6_00, "cancelled"),
    ]  # fmt: skip
    assert place.redeem(number, 2_00, operation=payment).state == "cancelled"  # the first outcome, its voucher now


def test_a_voucher_that_many_redeem_together_is_paid_once(place: Town) -> None:
    ((serial, number),) = place.ready(5_00)
    shop = place.balance(place.tea)

    def redeem(_: int) -> str:
        try:
            return place.redeem(number, 5_00).state
        except VoucherRefused as error:
            return error.code

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(redeem, range(4)))
    assert found.count("redeemed") == 1
    assert set(found) <= {"redeemed", Code.VOUCHER_USED, Code.EXCEEDS_VOUCHER}
    assert (place.bank.vouchers.get(serial).rest_minor, place.balance(place.tea)) == (0, shop + 5_00)


def test_a_cancelled_voucher_returns_its_rest(place: Town) -> None:
    free = place.bank.stores.ledger.account(place.funder).debits_pending
    (serial, number), (other, _) = place.ready(8_00, 2_00)
    place.redeem(number, 3_00)
    with pytest.raises(NotFound, match="has no voucher 999999"):
        place.cancel(serial, 999_999)
    assert place.activate(serial, 999_999) == ["", Code.VOUCHER_NOT_FOUND]
    assert place.cancel(serial) == [""]
    with refused(Code.VOUCHER_CANCELLED):
        place.redeem(number, 1)
    assert place.cancel(serial, other) == [Code.VOUCHER_CANCELLED, ""]
    assert place.activate(serial) == [Code.VOUCHER_CANCELLED]
    assert place.cancel(serial) == [Code.VOUCHER_CANCELLED]
    assert place.bank.stores.ledger.account(place.funder).debits_pending == free


def test_only_shops_of_the_payee_group_are_paid(place: Town) -> None:
    ((serial, number),) = place.ready(5_00)
    person_wallet = world.wallets(place.bank)[0].account
    for shop in (place.cafe, person_wallet, place.funder, 12_345):
        with refused(Code.SHOP_NOT_IN_GROUP):
            place.redeem(number, 1_00, shop=shop)
    assert place.bank.vouchers.get(serial).rest_minor == 5_00
    assert place.redeem(number, 5_00).state == "redeemed"


def test_the_beneficiary_of_the_activation_is_compared_if_it_is_named(place: Town) -> None:
    ((serial, number),) = place.ready(5_00)
    with refused(Code.BENEFICIARY_DIFFERS):
        place.redeem(number, 1_00, beneficiary="CHILD-0002")
    assert place.activate(serial, text="child 0001") == [""]
    assert place.activate(serial, text="CHILD-0002") == [Code.VOUCHER_ACTIVATED]
    stored = place.bank.vouchers.get(serial).beneficiary
    assert stored is not None
    assert ID.encode() not in stored
    for text in ("", "x" * 41, "Zoë"):
        with pytest.raises(UsageError, match="wrong form"):
            place.activate(serial, text=text)


def test_wrong_numbers_count_against_the_sender_and_lock_no_voucher(place: Town) -> None:
    ((serial, number),) = place.ready(5_00)
    wrong = numbers.number_text(serial, (numbers.parse(number)[1] + 1) % 10**numbers.SECRET_DIGITS)
    swapped = number[:-1] + str((int(number[-1]) + 1) % 10)
    for text, problem in ((swapped, "check digit"), ("12", "24 digits"), ("x" * 24, "24 digits")):
        with pytest.raises(UsageError, match=problem):
            place.redeem(text, 1_00, shop=place.cafe)
    unknown = numbers.number_text(numbers.SERIAL_MAX, 0)
    for at in range(ATTEMPTS_MAX):
        with refused(Code.VOUCHER_NUMBER_WRONG):
            place.redeem((wrong, unknown)[at % 2], 1_00, shop=place.cafe)
    for each in (wrong, number):
        with pytest.raises(AttemptsExhausted):
            place.redeem(each, 1_00, shop=place.cafe)
    assert place.redeem(number, 1_00).rest_minor == 4_00  # for another shop


def test_a_budget_and_a_funder_without_money_refuse(place: Town) -> None:
    place.reserve(30_00, 5_00)
    with refused(Code.BUDGET_EXHAUSTED):
        place.reserve(5_01)
    (serial,) = (each.serial for each in place.reserve(5_00))
    assert place.cancel(serial) == [""]
    assert [each.code for each in place.reserve(4_00, 1_00)] == ["", ""]
    propose(place.bank, "rich", budget=10_000_00)
    rows = Town(place.bank, "rich").reserve(1_00, 9_000_00, 2_00)
    assert [each.code for each in rows] == ["", Code.FUNDER_CANNOT_PAY, ""]
    assert [each.state for each in rows] == ["preactivated", "refused", "preactivated"]
    assert Town(place.bank, "rich").cancel(*(each.serial for each in rows)) == ["", Code.VOUCHER_NOT_RESERVED, ""]


def test_others_may_not(place: Town) -> None:
    bank, south = place.bank, person(place.bank, SOUTH)
    theirs = {"signers": bank.signers(SOUTH), "who": south}
    ((serial, number),) = place.ready(5_00)
    batch = bank.vouchers.get(serial).batch
    with pytest.raises(DutyMissing):
        bank.vouchers.reserve(place.group, [1_00], **theirs)
    with pytest.raises(DutyMissing):
        bank.vouchers.activate(place.group, [(serial, ID)], who=south)
    with pytest.raises(DutyMissing):
        bank.vouchers.redeem(number, place.tea, 1_00, **theirs)
    with pytest.raises(DutyMissing):
        bank.vouchers.cancel(place.group, [serial], **theirs)
    with pytest.raises(DutyMissing):
        bank.vouchers.numbers(batch, who=south)
    with pytest.raises(DutyMissing):
        bank.vouchers.groups.propose("theirs", NAME, budget_minor=1, until_ns=UNTIL_NS, maker=place.north)
    for missing in (lambda: bank.vouchers.get(10**9), lambda: bank.vouchers.numbers(5, who=place.north)):
        with pytest.raises(NotFound):
            missing()


def test_a_group_that_is_not_approved_reserves_nothing(place: Town) -> None:
    groups, ann = place.bank.vouchers.groups, person(place.bank, ANN)
    with pytest.raises(UsageError, match="end after the programme's spending"):
        groups.propose("late", NAME, budget_minor=1_00, until_ns=moment(16), maker=ann)
    with pytest.raises(UsageError, match="is over"):
        groups.propose("late", NAME, budget_minor=1_00, until_ns=moment(1), maker=ann)
    with pytest.raises(UsageError, match="wrong form"):
        groups.propose("A", NAME, budget_minor=1_00, until_ns=UNTIL_NS, maker=ann)
    with pytest.raises(UsageError, match="there is a group"):
        groups.propose(place.group, NAME, budget_minor=1_00, until_ns=UNTIL_NS, maker=ann)
    made = groups.propose("waiting", NAME, budget_minor=1_00, until_ns=UNTIL_NS, maker=ann, id=77)
    assert groups.propose("waiting", NAME, budget_minor=1_00, until_ns=UNTIL_NS, maker=ann, id=77).digest == made.digest
    with pytest.raises(UsageError, match="is proposed"):
        Town(place.bank, "waiting").reserve(1_00)
    place.bank.proposals.withdraw(made.id, by=ann)
    assert groups.get("waiting").state == "refused"
    propose(place.bank, "waiting")
    assert groups.get("waiting").state == "open"


def test_money_that_comes_back_returns_to_the_funder(place: Town) -> None:
    bank, group = place.bank, place.bank.vouchers.groups.get(place.group)
    ((_, number),) = place.ready(5_00)
    paid = place.redeem(number, 5_00)
    with pytest.raises(UsageError, match="has no money"):
        bank.vouchers.groups.return_money(place.group, **place.signing)
    refund = operations.refund(bank.stores.ledger.new_id(), original=paid.payment, amount=2_00)
    assert bank.stores.ledger.signed_by(*bank.signers(NORTH)).submit(refund)["code"].tolist() == [Result.CREATED]
    before = place.balance(place.funder)
    assert bank.vouchers.groups.return_money(place.group, id=88, **place.signing) == 2_00
    assert bank.vouchers.groups.return_money(place.group, id=88, **place.signing) == 2_00
    assert (place.balance(place.funder), place.balance(group.account)) == (before + 2_00, 0)


def test_a_halted_programme_reserves_and_activates_nothing_and_pays_on(place: Town) -> None:
    ((serial, number), (other, _)) = place.ready(5_00, 5_00)
    place.bank.programmes.halt(NAME, "a rumour", who=person(place.bank, ANN))
    with pytest.raises(UsageError, match="is halted"):
        place.reserve(1_00)
    with pytest.raises(UsageError, match="is halted"):
        place.activate(serial)
    assert place.redeem(number, 1_00).rest_minor == 4_00
    assert place.cancel(serial, other) == ["", ""]
    resumed = place.bank.programmes.propose_resume(NAME, "it was false", maker=person(place.bank, ANN))
    assert place.bank.proposals.sign(resumed.id, ANN, BOB).needs == ()


def test_vouchers_expire_with_their_group(tmp_path_factory: pytest.TempPathFactory) -> None:
    with town(tmp_path_factory.mktemp("expiry")) as place:
        ledger, shop = place.bank.stores.ledger, place.balance(place.tea)
        (used, number), (idle, _), (part, third) = place.ready(10_00, 20_00, 30_00)
        (waiting,) = place.reserve(40_00)
        place.redeem(number, 10_00)
        place.redeem(third, 12_00)
        assert place.bank.vouchers.groups.get(GROUP).budget_minor == BUDGET
        place.bank.set_clock(UNTIL_NS)
        found = [place.bank.vouchers.get(each) for each in (used, idle, part, waiting.serial)]
        assert [each.state for each in found] == ["redeemed", "expired", "expired", "expired"]
        assert [each.returned_minor for each in found] == [0, 20_00, 18_00, 40_00]
        with refused(Code.VOUCHER_EXPIRED):
            place.redeem(third, 1_00)
        with refused(Code.VOUCHER_EXPIRED):
            place.reserve(1_00)
        assert place.activate(waiting.serial) == place.cancel(waiting.serial) == [Code.VOUCHER_EXPIRED]
        assert ledger.account(place.funder).debits_pending == 0
        assert (place.balance(place.funder), place.balance(place.tea)) == (LEFT - 22_00, shop + 22_00)
        assert [each.step for each in place.bank.vouchers.steps(idle)][-1] == "expire"
        assert place.bank.check() == []
