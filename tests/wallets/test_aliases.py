"""Aliases: a masked name before anybody signs, and nobody takes over another person's alias."""

from __future__ import annotations

import pytest
from tests.bank.killing import POSTGRESQL_IN_SOAK
from tests.bank.world import DAY_NS, HOUR_NS, START_NS
from tests.wallets import world
from tests.wallets.codes import taken
from tests.wallets.world import Town

from sycee.core.errors import UsageError
from sycee.core.keys import SigningKey
from sycee.core.records.signed_messages import proof_message
from sycee.wallets import aliases
from sycee.wallets.aliases import ATTEMPTS_MAX, CODE_NS, LOOKUPS_MAX, Code


def proof(town: Town, account: int, alias: str, key: SigningKey) -> bytes:
    return key.sign(town.bank.aliases.message(account, alias))


def code_for(town: Town, account: int, phone: str, key: SigningKey) -> Code:
    """Let a wallet ask for a code, and return what the phone receives."""
    by = town.holder(account)
    challenge = town.bank.aliases.challenge(account, phone, proof=proof(town, account, phone, key), by=by)
    (code,) = taken(town.bank.aliases)
    assert taken(town.bank.aliases) == []
    assert (code.challenge, code.phone) == (challenge, town.bank.personal.phone(phone))
    assert code.phone.startswith("+86")
    assert code.phone[1:].isdecimal()
    return code


@POSTGRESQL_IN_SOAK
def test_a_phone_in_any_form_shows_a_masked_name(town: Town) -> None:
    found = town.bank.aliases.resolve("0086 (138) 0000-0001", by=town.holder(town.mia))
    assert (found.account, found.name) == (town.leo, "L** M**********")
    with pytest.raises(UsageError, match="no wallet with this alias") as caught:
        town.bank.aliases.resolve("+86 138 9999 9999", by=town.holder(town.mia))
    assert "9999" not in str(caught.value)


@POSTGRESQL_IN_SOAK
def test_a_handle_needs_the_wallets_key_and_belongs_to_one(town: Town) -> None:
    aliases, leo, mia = town.bank.aliases, town.leo, town.mia
    aliases.register_handle(leo, "@Leo.M", proof=proof(town, leo, "@leo.m", world.LEO_KEY), by=town.holder(leo))
    assert aliases.resolve("@leo.m", by=town.holder(mia)).account == leo
    with pytest.raises(UsageError, match="another wallet has this handle"):
        aliases.register_handle(mia, "@leo.m", proof=proof(town, mia, "@leo.m", world.MIA_KEY), by=town.holder(mia))
    with pytest.raises(UsageError, match="not a signature"):
        aliases.end(leo, "@leo.m", proof=proof(town, leo, "@leo.m", world.MIA_KEY), by=town.holder(mia))
    aliases.end(leo, "@leo.m", proof=proof(town, leo, "@leo.m", world.LEO_KEY), by=town.holder(leo))
    with pytest.raises(UsageError, match="no wallet"):
        aliases.resolve("@leo.m", by=town.holder(mia))
    aliases.register_handle(town.shop, "@leo.m", by=town.north)  # a custodial wallet: its operator asks
    assert aliases.resolve("@leo.m", by=town.holder(mia)).name == world.TEA


@POSTGRESQL_IN_SOAK
def test_a_holder_gets_ten_codes_a_day_and_three_to_one_phone(town: Town) -> None:
    phones = [f"+86 139 0000 {number:04}" for number in range(10)]
    for phone in phones:
        code_for(town, town.leo, phone, world.LEO_KEY)
    with pytest.raises(UsageError, match=r"10 codes were asked for .* by the holder"):
        code_for(town, town.leo, "+86 139 0000 0099", world.LEO_KEY)
    for _ in range(3):
        code_for(town, town.mia, phones[0], world.MIA_KEY)
    with pytest.raises(UsageError, match="3 codes to this phone"):
        code_for(town, town.mia, phones[0], world.MIA_KEY)
    town.bank.set_clock(START_NS + 25 * HOUR_NS)
    code_for(town, town.leo, phones[0], world.LEO_KEY)


def test_nobody_uses_up_the_codes_of_another_persons_phone(small: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mia asks for codes to a phone until it gets no more: others still get one, and the alias's holder all."""
    monkeypatch.setattr(aliases, "CODES_MAX", 3)
    new = "+86 139 0000 0001"
    for _ in range(3):
        code_for(small, small.mia, new, world.MIA_KEY)
    code = code_for(small, small.leo, new, world.LEO_KEY)  # Leo's own new phone: his first code
    with pytest.raises(UsageError, match=r"3 codes to this phone were asked for in 24 hours\nhint"):
        code_for(small, small.leo, new, world.LEO_KEY)
    assert small.bank.aliases.confirm(code.challenge, code.code)
    code_for(small, small.leo, new, world.LEO_KEY)  # now it is the alias of Leo's wallet


@pytest.mark.parametrize("handle", ["@", "@x", "@1ab", "@with blank", "@" + "x" * 31])
def test_handles_have_a_form(small: Town, handle: str) -> None:
    with pytest.raises(UsageError, match="wrong form"):
        small.bank.aliases.resolve(handle, by=small.north)


def test_a_new_phone_is_an_alias_once_its_code_returns(small: Town) -> None:
    code = code_for(small, small.leo, "+86 138 5555 5555", world.LEO_KEY)
    wrong = f"{(int(code.code) + 1) % 10**6:06}"
    with pytest.raises(UsageError, match="the code is wrong"):
        small.bank.aliases.confirm(code.challenge, wrong)
    assert small.bank.aliases.confirm(code.challenge, code.code)
    assert small.bank.aliases.resolve("+86 138 5555 5555", by=small.north).account == small.leo
    with pytest.raises(UsageError, match="no longer valid"):
        small.bank.aliases.confirm(code.challenge, code.code)


def test_codes_end_after_attempts_and_after_minutes(small: Town) -> None:
    code = code_for(small, small.leo, "+86 138 5555 5555", world.LEO_KEY)
    wrong = f"{(int(code.code) + 1) % 10**6:06}"
    for _ in range(ATTEMPTS_MAX):
        with pytest.raises(UsageError, match="the code is wrong"):
            small.bank.aliases.confirm(code.challenge, wrong)
    with pytest.raises(UsageError, match="no longer valid"):
        small.bank.aliases.confirm(code.challenge, code.code)
    late = code_for(small, small.leo, "+86 138 5555 5555", world.LEO_KEY)
    small.bank.set_clock(small.bank.stores.clock.now_ns() + CODE_NS)
    with pytest.raises(UsageError, match="no longer valid"):
        small.bank.aliases.confirm(late.challenge, late.code)


def test_a_taken_phone_moves_after_a_day_unless_its_owner_objects(town: Town) -> None:
    """Whoever got Leo's number, by a new SIM card or a thief, gets his alias only if he is silent for a day."""
    aliases, phone = town.bank.aliases, world.LEO["phone"]
    code = code_for(town, town.mia, phone, world.MIA_KEY)
    assert not aliases.confirm(code.challenge, code.code)
    assert aliases.resolve(phone, by=town.north).account == town.leo
    assert aliases.moving_from(town.leo) == [town.mia]
    with pytest.raises(UsageError, match="not a signature"):
        aliases.keep(town.leo, phone, proof=proof(town, town.leo, phone, world.STRANGER), by=town.north)
    aliases.keep(town.leo, phone, proof=proof(town, town.leo, phone, world.LEO_KEY), by=town.holder(town.leo))
    town.bank.set_clock(town.bank.stores.clock.now_ns() + 2 * DAY_NS)
    assert aliases.resolve(phone, by=town.north).account == town.leo
    again = code_for(town, town.mia, phone, world.MIA_KEY)
    aliases.confirm(again.challenge, again.code)
    town.bank.set_clock(town.bank.stores.clock.now_ns() + DAY_NS)
    moved = aliases.resolve(phone, by=town.north)
    assert (moved.account, moved.name) == (town.mia, "M** W*")


def test_a_lost_key_no_longer_speaks_for_the_alias(small: Town) -> None:
    phone, new = world.LEO["phone"], world.STRANGER
    old_proof = proof(small, small.leo, phone, world.LEO_KEY)
    message = proof_message(small.bank.stores.ledger.ledger_id, small.leo, 2, new.public)
    small.bank.keys.set(
        small.leo, new.public, new.sign(message), signers=small.operator, who=small.north,
        consent=world.LEO_KEY.sign(message),
    )  # fmt: skip
    for stale in (old_proof, proof(small, small.leo, phone, world.LEO_KEY)):
        with pytest.raises(UsageError, match="not a signature"):
            small.bank.aliases.end(small.leo, phone, proof=stale, by=small.holder(small.leo))
    small.bank.aliases.end(small.leo, phone, proof=proof(small, small.leo, phone, new), by=small.holder(small.leo))


def test_nobody_collects_names(small: Town) -> None:
    by = small.holder(small.mia)
    for _ in range(LOOKUPS_MAX):
        small.bank.aliases.resolve(world.NED["phone"], by=by)
    with pytest.raises(UsageError, match="100 aliases were looked up today"):
        small.bank.aliases.resolve(world.NED["phone"], by=by)
    assert small.bank.aliases.resolve(world.NED["phone"], by=small.north).name == "N**"
    small.bank.set_clock(small.bank.stores.clock.now_ns() + DAY_NS)
    assert small.bank.aliases.resolve(world.NED["phone"], by=by).account == small.ned
