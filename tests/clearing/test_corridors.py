"""Corridors: officers open them, participants quote, others accept in time, and both legs are booked together."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.bank.world import BOB
from tests.clearing import declared
from tests.clearing.test_currency_officers import CHINA, HONG_KONG, appoint
from tests.clearing.world import (
    CNY,
    CODES,
    EAST_BANK,
    HKD,
    HOUSE_OPERATOR,
    NORTH_BANK,
    SOUTH_BANK,
    Place,
    Sent,
    agree,
    message_key,
    place,
)

from sycee.clearing import instructions, quotes
from sycee.clearing.corridors import StoredQuote
from sycee.clearing.quotes import Acceptance, Quote
from sycee.core.errors import UsageError
from sycee.core.keys import SigningKey
from sycee.core.records.layout import Reason

RATE = Fraction("1.0912")
MINUTE_NS = 60 * 10**9


def issue(town: Place, participant: int, minor: int) -> None:
    """Put Hong Kong dollars on a position."""
    agree(town.bank, town.bank.clearing.register.issue(participant, "HKD", minor, maker=town.maker))


def corridor(town: Place, *, provider: int = EAST_BANK, most_minor: int = 500_00, valid_s: int = 60) -> None:
    """East Bank, or another one, may quote: it takes yuan and gives Hong Kong dollars."""
    made = town.bank.clearing.corridors.open(
        provider, "CNY", "HKD", most_minor=most_minor, valid_s=valid_s, maker=town.maker
    )
    agree(town.bank, made)


def quote(
    town: Place, *, sign: SigningKey | None = None, by: int = EAST_BANK, who: int = 0, **changed: object
) -> StoredQuote:
    """A quote of East Bank for a minute, signed and stored."""
    values: dict[str, object] = {
        "id": town.bank.stores.new_id(), "provider": CODES[EAST_BANK], "takes": "CNY", "gives": "HKD", "rate": RATE,
        "least_minor": 1_00, "most_minor": 300_00, "until_ns": town.bank.stores.clock.now_ns() + MINUTE_NS,
    }  # fmt: skip
    content = Quote(**(values | changed)).content()  # type: ignore[arg-type]
    signature = signed(town, content, by, sign)
    return town.bank.clearing.corridors.quote(by, content, signature, who=who or town.person(by))


def signed(town: Place, content: bytes, participant: int, key: SigningKey | None = None) -> bytes:
    ledger_id = town.bank.stores.ledger.ledger_id
    return instructions.sign(content, key or message_key(participant), ledger_id=ledger_id, participant=participant)


def accepted(
    town: Place, found: StoredQuote, minor: int, *, taker: int = NORTH_BANK,
    change: Callable[[Acceptance], Acceptance] = lambda made: made,
) -> int:  # fmt: skip
    """The number of the payment with which a participant accepts a quote."""
    corridors, gets = town.bank.clearing.corridors, quotes.given(found.rate, minor, "CNY", "HKD")
    own = str(uuid.UUID(int=found.number << 64 | minor))
    made = change(Acceptance(found.id, found.digest, CODES[taker], own, minor, gets))
    content = made.content()
    return corridors.accept(taker, content, signed(town, content, taker), who=town.person(taker))


@pytest.fixture
def town(tmp_path: Path) -> Place:  # type: ignore[misc]
    with place(tmp_path) as made:
        yield made
        assert made.bank.check() == []


@pytest.fixture(scope="module")
def quoting(tmp_path_factory: pytest.TempPathFactory) -> Place:  # type: ignore[misc]
    """East Bank alone may quote."""
    with place(tmp_path_factory.mktemp("quoting")) as made:
        corridor(made)
        yield made


def test_an_accepted_quote_is_booked_with_both_legs_or_none(town: Place) -> None:
    corridor(town)
    found = quote(town)
    assert [each.id for each in town.bank.clearing.corridors.current()] == [found.id]
    offered = town.bank.clearing.corridors.acceptance(NORTH_BANK, found.id, 33_33, uetr=str(uuid.UUID(int=1)))
    assert (offered.digest, offered.gets_minor) == (found.digest, 36_36)
    number = accepted(town, found, 33_33)
    assert accepted(town, found, 33_33) == number  # the same act again
    payment = town.bank.clearing.payments.of_numbers([number])[number]
    # 33.33 × 1.0912 is 36.369696.
    assert (payment.minor, payment.back_minor, payment.state) == (33_33, 36_36, "queued")
    assert (payment.sender, payment.receiver, payment.currency, payment.back_currency) == (
        NORTH_BANK, EAST_BANK, CNY, HKD,
    )  # fmt: skip
    assert town.bank.clearing.corridors.quote_of(number).id == found.id
    assert town.release() == (0, 0, 0)  # East Bank has no dollars
    issue(town, EAST_BANK, 50_00)
    assert town.release() == (1, 33_33, 0)
    assert town.balances(CNY) == [66_67, 100_00, 133_33]
    assert town.balances(HKD) == [36_36, 0, 13_64]
    assert town.bank.clearing.corridors.get(found.id).left_minor == 300_00 - 33_33


def test_an_acceptance_settles_in_a_set_that_weighs_by_its_rate(town: Place) -> None:
    """North gets dollars from East by a quote and passes them on: only all together settle."""
    corridor(town)
    issue(town, EAST_BANK, 40_00)
    number = accepted(town, quote(town), 33_33)
    town.send(NORTH_BANK, Sent(1, SOUTH_BANK, 36_36, HKD))
    rates = town.bank.clearing.rates.current()
    assert rates == {CNY: 1, HKD: 1 / RATE}
    settled = town.settle(seconds=0.05)
    # 3636 cents of Hong Kong are 3332.11 fen.
    assert (settled.payments, settled.value) == (2, 33_33 + 33_32)
    assert town.balances(HKD) == [0, 36_36, 3_64]
    header = town.bank.clearing.sets.verify(settled.set_id)
    assert header["weight"] == "minor units of the first leg, times the rate of its currency: HKD 625/682"
    assert town.bank.clearing.payments.of_numbers([number])[number].state == "booked"


def test_only_a_valid_quote_weighs(town: Place) -> None:
    rates = town.bank.clearing.rates
    for each in (EAST_BANK, SOUTH_BANK):
        corridor(town, provider=each)
    quote(town)
    south = {"by": SOUTH_BANK, "provider": CODES[SOUTH_BANK]}
    quote(town, rate=Fraction(2), **south)  # type: ignore[arg-type]
    assert rates.current() == {CNY: 1, HKD: Fraction(1, 2)}
    quote(town, rate=Fraction(10**9), least_minor=0, most_minor=0, **south)  # type: ignore[arg-type]
    assert rates.current() == {CNY: 1, HKD: 1 / RATE}
    corridor(town, most_minor=0)
    assert rates.current() == {CNY: 1}
    corridor(town)
    assert rates.current() == {CNY: 1, HKD: 1 / RATE}
    town.bank.set_clock(town.bank.stores.clock.now_ns() + MINUTE_NS)
    assert rates.current() == {CNY: 1}


def test_a_quote_that_ended_was_replaced_or_is_used_up_is_refused(town: Place) -> None:
    corridor(town)
    first = quote(town)
    accepted(town, first, 200_00)
    with pytest.raises(UsageError, match=r"is accepted for 1.00 CNY to 100.00 CNY; got 100.01 CNY"):
        accepted(town, first, 100_01)
    with pytest.raises(UsageError, match=r"is accepted for 1.00 CNY to 100.00 CNY; got 0.99 CNY"):
        accepted(town, first, 99)
    second = quote(town, rate=Fraction(1))
    with pytest.raises(UsageError, match="was replaced by"):
        accepted(town, first, 1_00)
    assert accepted(town, first, 200_00)  # what was accepted in time keeps its answer
    late = town.bank.clearing.corridors.acceptance(NORTH_BANK, second.id, 5_00, uetr=str(uuid.uuid4())).content()
    town.bank.set_clock(town.bank.stores.clock.now_ns() + MINUTE_NS)
    with pytest.raises(UsageError, match="ended at"):
        accepted(town, second, 1_00)
    with pytest.raises(UsageError, match="ended at"):
        town.bank.clearing.corridors.accept(
            NORTH_BANK, late, signed(town, late, NORTH_BANK), who=town.person(NORTH_BANK)
        )
    assert town.bank.clearing.corridors.current() == []
    assert len(town.bank.clearing.payments.page()) == 1


def test_a_quote_of_a_corridor_that_officers_ended_is_refused(town: Place) -> None:
    corridor(town)
    found = quote(town)
    corridor(town, most_minor=0)
    assert town.bank.clearing.corridors.current() == []
    with pytest.raises(UsageError, match="officers ended its corridor"):
        accepted(town, found, 10_00)
    with pytest.raises(UsageError, match="has no corridor from CNY to HKD"):
        quote(town)
    corridor(town)
    assert accepted(town, found, 10_00)


def test_the_corridor_that_was_signed_last_counts(town: Place) -> None:
    open_ = town.bank.clearing.corridors.open
    values = {"valid_s": 60, "maker": town.maker}
    first, second = (open_(EAST_BANK, "CNY", "HKD", most_minor=each, **values) for each in (200_00, 300_00))
    agree(town.bank, second)
    found = quote(town)
    agree(town.bank, first)
    assert [each.most_minor for each in town.bank.clearing.corridors.corridors()] == [200_00]
    assert [each.left_minor for each in town.bank.clearing.corridors.current()] == [200_00]
    with pytest.raises(UsageError, match=r"is accepted for 1.00 CNY to 200.00 CNY; got 200.01 CNY"):
        accepted(town, found, 200_01)
    with pytest.raises(UsageError, match=r"offers at most 200.00 CNY"):
        quote(town)
    assert accepted(town, found, 200_00)


def test_an_acceptance_across_a_border_waits_for_compliance(tmp_path: Path) -> None:
    with place(tmp_path, compliance="true") as town:
        corridor(town)
        issue(town, EAST_BANK, 50_00)
        number = accepted(town, quote(town), 33_33)
        assert town.bank.clearing.payments.of_numbers([number])[number].state == "valid"
        assert town.release() == (0, 0, 0)
        declared.admit_all(town.bank, tmp_path)
        assert town.release() == (1, 33_33, 0)
        assert town.bank.clearing.payments.of_numbers([number])[number].state == "booked"
        records = declared.compliance_of(town.bank).screenings(str(uuid.UUID(int=1 << 64 | 33_33)))
        assert tuple(each.digest for each in records) == town.bank.clearing.permits.digests(number)
        # Each leg in its own direction.
        ways = [(each.record["sender"], each.record["receiver"]) for each in records]
        assert ways == [("north", "east"), ("east", "north")]
        assert town.bank.check() == []


def test_what_nobody_signed_is_refused(town: Place) -> None:
    corridor(town)
    found = quote(town)
    for change, words in (
        ({"sign": message_key(NORTH_BANK)}, "the signature is not operator 5's"),
        ({"by": NORTH_BANK}, "it is EASTHKH1XXX's, and NORTCNB1XXX delivers it"),
        ({"most_minor": 500_01}, "offers at most 500.00 CNY, and not 500.01 CNY"),
        ({"until_ns": town.bank.stores.clock.now_ns() + 10 * MINUTE_NS}, "the quote ends at"),
        ({"until_ns": town.bank.stores.clock.now_ns()}, "the quote ends at"),
        ({"takes": "HKD", "gives": "CNY"}, "has no corridor from HKD to CNY"),
        ({"gives": "CNY"}, "a quote has two currencies"),
        ({"least_minor": 400_00}, "amounts in order"),
        ({"id": found.id, "rate": Fraction(2)}, "belongs to another quote"),
    ):
        with pytest.raises(UsageError, match=words):
            quote(town, **change)  # type: ignore[arg-type]
    assert town.bank.clearing.corridors.current()[0].id == found.id

    def paying(more: int) -> Callable[[Acceptance], Acceptance]:
        return lambda made: Acceptance(
            made.quote, made.digest, made.taker, made.uetr, made.pays_minor, made.gets_minor + more
        )

    with pytest.raises(
        UsageError, match=r"1000 minor units at the rate 682/625 are 1091, and the acceptance says 1092"
    ):
        accepted(town, found, 10_00, change=paying(1))
    with pytest.raises(UsageError, match="is of another quote than"):
        accepted(
            town, found, 10_00,
            change=lambda made: Acceptance(made.quote, "0" * 64, made.taker, made.uetr, 10_00, 10_91),
        )  # fmt: skip
    with pytest.raises(UsageError, match="the house refuses the payment: RC04"):
        accepted(town, found, 10_00, taker=EAST_BANK)
    assert len(town.bank.clearing.payments.page()) == 0


Change = dict[str, object]


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        pytest.param({}, "", id="East Bank, from yuan to dollars"),
        pytest.param({"most_minor": 500_00}, "", id="as much as the corridor permits"),
        pytest.param({"most_minor": 500_01}, "offers at most 500.00 CNY, and not 500.01 CNY", id="more"),
        pytest.param({"least_minor": 300_00}, "", id="one acceptance of everything"),
        pytest.param({"least_minor": 300_01}, "amounts in order", id="least above most"),
        pytest.param({"least_minor": 0, "most_minor": 0}, "", id="nothing any more"),
        pytest.param({"valid_ns": MINUTE_NS}, "", id="as long as the corridor permits"),
        pytest.param({"valid_ns": MINUTE_NS + 1}, "is valid for up to 60 s", id="longer"),
        pytest.param({"valid_ns": 1}, "", id="a nanosecond"),
        pytest.param({"valid_ns": 0}, "the quote ends at", id="ended"),
        pytest.param({"takes": "HKD", "gives": "CNY"}, "has no corridor from HKD to CNY", id="other direction"),
        pytest.param({"gives": "MOP"}, "has no corridor from CNY to MOP", id="other currency"),
        pytest.param({"gives": "CNY"}, "a quote has two currencies", id="one currency"),
        pytest.param({"by": SOUTH_BANK}, "SOUTCNB1XXX has no corridor from CNY to HKD", id="without a corridor"),
        pytest.param(
            {"provider": CODES[SOUTH_BANK]}, "it is SOUTCNB1XXX's, and EASTHKH1XXX delivers", id="for another"
        ),
        pytest.param({"sign": message_key(SOUTH_BANK)}, "the signature is not operator 5's", id="key of another"),
        pytest.param({"who": SOUTH_BANK}, "may not request clearing.deliver", id="person of another"),
        pytest.param({"who": HOUSE_OPERATOR}, "may not request clearing.deliver", id="person of the house"),
        pytest.param({"who": 0}, "may not request clearing.deliver", id="officer"),
    ],
)
def test_who_may_quote_what(quoting: Place, change: Change, refusal: str) -> None:
    """The rules of docs/reference/corridors.md#who-may-quote-what, and what just keeps and just breaks each."""
    town, by = quoting, int(str(change.get("by", EAST_BANK)))
    values = {"provider": CODES[by]} | {each: change[each] for each in change if each not in ("valid_ns", "who")}
    values["until_ns"] = town.bank.stores.clock.now_ns() + int(str(change.get("valid_ns", MINUTE_NS)))
    deliverer = int(str(change.get("who", by)))
    values["who"] = town.person(deliverer) if deliverer else town.maker
    before = town.bank.clearing.corridors.current()
    if refusal:
        with pytest.raises(UsageError, match=refusal):
            quote(town, **values)  # type: ignore[arg-type]
        assert town.bank.clearing.corridors.current() == before
    else:
        found = quote(town, **values)  # type: ignore[arg-type]
        offered = [found] if found.most_minor else []
        assert town.bank.clearing.corridors.current() == offered


def test_what_changes_after_a_quote(town: Place) -> None:
    """A lower amount counts at once, a shorter validity later; a block and a new key end no quote."""
    corridor(town)
    found = quote(town)
    corridor(town, most_minor=200_00, valid_s=10)
    (left,) = town.bank.clearing.corridors.current()
    assert (left.until_ns, left.left_minor) == (found.until_ns, 200_00)
    with pytest.raises(UsageError, match="is valid for up to 10 s"):
        quote(town, most_minor=200_00)
    assert town.bank.clearing.positions.block(EAST_BANK, reason=Reason.OPERATOR, **town.signing).created
    issue(town, EAST_BANK, 50_00)
    until_ns = town.bank.stores.clock.now_ns() + MINUTE_NS // 6
    blocked = quote(town, most_minor=200_00, until_ns=until_ns)
    assert accepted(town, blocked, 10_00)
    assert town.release() == (0, 0, 0)
    fresh = SigningKey.derive(bytes([99]) * 32)
    town.bank.clearing.register.set_key(EAST_BANK, fresh.public, who=town.person(EAST_BANK))
    with pytest.raises(UsageError, match="the signature is not operator 5's"):
        quote(town, most_minor=200_00, until_ns=until_ns)
    assert accepted(town, blocked, 11_00)
    quote(town, sign=fresh, least_minor=0, most_minor=0, until_ns=until_ns)
    assert town.bank.clearing.corridors.current() == []


def test_the_id_of_another_provider_is_refused(town: Place) -> None:
    for each in (EAST_BANK, SOUTH_BANK):
        corridor(town, provider=each)
    found = quote(town)
    with pytest.raises(UsageError, match="belongs to another quote"):
        quote(town, by=SOUTH_BANK, provider=CODES[SOUTH_BANK], id=found.id)
    assert [each.id for each in town.bank.clearing.corridors.current()] == [found.id]


def test_an_officer_of_each_currency_opens_a_corridor(town: Place) -> None:
    bank = town.bank
    yuan, dollars = appoint(bank, CHINA, CNY), appoint(bank, HONG_KONG, HKD)
    assert [str(each) for each in bank.people.duties_of(dollars)] == ["currency-officer of HKD"]
    open_ = bank.clearing.corridors.open
    made = open_(EAST_BANK, "CNY", "HKD", most_minor=500_00, valid_s=60, maker=dollars)
    assert bank.proposals.sign(made.id, HONG_KONG).needs == (
        "an officer of the board or of CNY",
        "a person other than the maker, with the duty currency-officer or officer",
    )
    assert bank.clearing.corridors.corridors() == []
    assert bank.proposals.sign(made.id, CHINA).needs == ()
    assert [each.most_minor for each in bank.clearing.corridors.corridors()] == [500_00]
    ended = open_(EAST_BANK, "CNY", "HKD", most_minor=0, valid_s=60, maker=yuan)
    assert bank.proposals.sign(ended.id, CHINA, BOB).needs == ()
    assert bank.clearing.corridors.corridors() == []


@given(
    st.fractions(min_value=Fraction(1, 10**6), max_value=10**6, max_denominator=10**6),
    st.integers(1, 1 << 56),
    st.sampled_from(["CNY", "JPY", "KWD"]),
    st.sampled_from(["HKD", "JPY", "KWD"]),
)
@settings(max_examples=200, deadline=None)
def test_what_is_given_is_the_exact_amount_rounded_down(rate: Fraction, minor: int, takes: str, gives: str) -> None:
    digits = {"CNY": 2, "HKD": 2, "JPY": 0, "KWD": 3}
    exact = Fraction(minor, 10 ** digits[takes]) * rate * 10 ** digits[gives]
    assert 0 <= exact - quotes.given(rate, minor, takes, gives) < 1


@pytest.mark.parametrize(
    ("text", "rate"), [("1.0912", RATE), ("7", 7), ("0.001", Fraction(1, 1000)), ("1364/1250", RATE)]
)
def test_a_rate_is_exact(text: str, rate: Fraction) -> None:
    assert quotes.parse_rate(text) == rate


@pytest.mark.parametrize("text", ["0", "0.0", "1/0", "-1", "1e3", "1,5", "", "1.", "nan", "1" * 16, "٣"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no rate"):
        quotes.parse_rate(text)


def test_a_text_that_is_no_quote_is_refused() -> None:
    good = Quote(5, "A", "CNY", "HKD", RATE, 1, 2, 9)
    assert quotes.read_quote(good.content()) == good
    members = json.loads(good.content())
    for name in members:
        for value in (None, 1, "x", "", "01", "-1", [], {"numerator": "1"}):
            if value == members[name] or (name == "provider" and isinstance(value, str)):
                continue
            with pytest.raises(UsageError):
                quotes.read_quote(json.dumps(members | {name: value}, sort_keys=True, separators=(",", ":")).encode())
    for content in (b"", b"{", b"[]", b"\xff", good.content() + b" ", good.content()[:-1] + b',"x":1}', b"[" * 5_000):
        with pytest.raises(UsageError):
            quotes.read_quote(content)
