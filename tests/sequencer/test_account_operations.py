"""Accounts, keys and roles set up with methods of the ledger; wallets that pay with their own keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.sequencer.small import START_NS
from tests.sequencer.test_embedded import Town

from sycee import verify
from sycee.core.errors import Refused, UnavailableError, UsageError
from sycee.core.keys import PublicKey, SigningKey
from sycee.core.records.layout import AccountKind, Block, KeyFlag, Reason, Role
from sycee.core.result_codes import Result
from sycee.sequencer.embedded import Ledger, Signer

OFFICERS = {501: SigningKey.derive(b"\1" * 32), 502: SigningKey.derive(b"\2" * 32)}
OPERATOR, CHEN = 3, 601
CHENS_KEY = SigningKey.derive(b"\3" * 32, "p256")
ANNS_KEY, NEW_KEY = SigningKey.derive(b"\4" * 32), SigningKey.derive(b"\5" * 32, "p256")


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


def with_officers(town: Town) -> Ledger:
    """Turn authority on; return the ledger signed by both officers."""
    for person, key in OFFICERS.items():
        assert town.ledger.grant_role(person, Role.OFFICER, key.public) is Result.CREATED
    assert town.ledger.authority_on
    return town.ledger.signed_by(*(Signer(person, key) for person, key in OFFICERS.items()))


# --- accounts ---


def test_an_account_has_the_id_operator_and_limits_it_is_opened_with(town: Town) -> None:
    ledger = town.ledger
    ledger.define_rule_set(1, single_max=500)
    suspense = ledger.open_account("CNY", AccountKind.SUSPENSE, operator=OPERATOR)
    opened = ledger.open_account(
        "CNY", AccountKind.WALLET, account=4_711, suspense=suspense, operator=OPERATOR, rule_set=1
    )
    found = ledger.account(4_711)
    assert opened == found.id == 4_711
    assert (found.operator, found.suspense, found.rule_set) == (OPERATOR, suspense, 1)


def test_the_suspense_account_is_the_operators_or_the_issuers(town: Town) -> None:
    ledger = town.ledger
    (issuers,) = ledger.accounts(kind=AccountKind.SUSPENSE)
    before = ledger.open_account("CNY", AccountKind.WALLET, operator=OPERATOR)
    own = ledger.open_account("CNY", AccountKind.SUSPENSE, operator=OPERATOR)
    after = ledger.open_account("CNY", AccountKind.WALLET, operator=OPERATOR)
    strangers = ledger.open_account("CNY", AccountKind.WALLET, operator=OPERATOR + 1)
    assert [ledger.account(each).suspense for each in (before, after, strangers)] == [issuers.id, own, issuers.id]
    with pytest.raises(Refused, match="SUSPENSE_NOT_FOUND") as refused:
        ledger.open_account("CNY", AccountKind.WALLET, operator=OPERATOR + 1, suspense=own)
    assert "same currency and operator" in str(refused.value.hint)


@pytest.mark.parametrize("operator", [-1, 2**32])
def test_an_operator_out_of_range_is_refused_with_the_range_of_its_field(town: Town, operator: int) -> None:
    calls = (
        lambda: town.ledger.open_account("CNY", AccountKind.WALLET, operator=operator),
        lambda: town.ledger.accounts(operator=operator),
    )
    for call in calls:
        with pytest.raises(UsageError, match=rf"(?m)^operator must .* from 0 to 4294967295; got {operator}$"):
            call()


def test_opening_is_safe_to_send_again(town: Town) -> None:
    ledger = town.ledger
    account, operation = ledger.new_id(), ledger.new_id()
    for _ in range(3):
        assert ledger.open_account("CNY", AccountKind.WALLET, account=account, id=operation) == account
    assert len(ledger.accounts(kind=AccountKind.WALLET)) == 3
    with pytest.raises(Refused, match="EXISTS_WITH_DIFFERENT_CONTENT"):
        ledger.open_account("CNY", AccountKind.MERCHANT, account=account, id=operation)
    with pytest.raises(Refused, match="ACCOUNT_EXISTS") as refused:
        ledger.open_account("CNY", AccountKind.WALLET, account=account)
    assert refused.value.hint
    with pytest.raises(UsageError, match="open_account with id= needs account="):
        ledger.open_account("CNY", AccountKind.WALLET, id=ledger.new_id())
    refusal = ledger.new_id()
    for _ in range(2):  # a repeated call is refused again
        with pytest.raises(Refused, match="RULE_SET_NOT_FOUND"):
            ledger.open_account("CNY", AccountKind.WALLET, account=5, rule_set=9, id=refusal)
        ledger.define_rule_set(9)


def test_a_currency_is_defined_once_under_one_id(town: Town) -> None:
    id = town.ledger.new_id()
    assert town.ledger.define_currency("EUR", zone="Europe/Paris", id=id) is Result.CREATED
    assert town.ledger.define_currency("EUR", zone="Europe/Paris", id=id) is Result.EXISTS


def test_closing_and_linking(town: Town) -> None:
    ledger = town.ledger
    way, bank = ledger.open_account("CNY", AccountKind.IN_TRANSIT), ledger.open_account("CNY", AccountKind.VAULT)
    ledger.define_rule_set(1, balance_max=1_000)
    assert ledger.link_account(town.ann, way) is Result.CREATED
    assert ledger.link_account(way, bank) is Result.CREATED
    assert ledger.link_account(town.bob, bank) is Result.LINK_KIND_WRONG
    assert ledger.set_rule_set(town.ann, 1) is Result.CREATED
    id = ledger.new_id()
    assert ledger.transfer(town.mint, town.ann, "15.00", id=id) is Result.CREATED
    assert (ledger.balance(town.ann), ledger.balance(way)) == (1_000, 500)
    assert ledger.confirm(id) is Result.CREATED
    assert ledger.balance(bank) == 500
    assert ledger.link_account(town.ann) is Result.CREATED
    assert ledger.account(town.ann).link == 0
    assert ledger.close_account(town.ann) is Result.ACCOUNT_NOT_EMPTY
    assert ledger.transfer(town.ann, town.mint, "10.00") is Result.CREATED
    closing = ledger.new_id()
    assert ledger.close_account(town.ann, reason=Reason.DECEASED, id=closing) is Result.CREATED
    assert ledger.close_account(town.ann, reason=Reason.DECEASED, id=closing) is Result.EXISTS
    found = ledger.account(town.ann)
    assert (found.close_reason, found.blocks & Block.CLOSED) == (Reason.DECEASED, Block.CLOSED)


# --- keys and roles ---


def test_keys_are_set_and_removed(town: Town) -> None:
    ledger = town.ledger
    assert ledger.set_key(town.ann, NEW_KEY.public) is Result.CREATED
    found = ledger.account(town.ann)
    assert (PublicKey(int(found.key_flags), found.key), found.key_epoch) == (NEW_KEY.public, 1)
    assert ledger.set_key(town.ann, None) is Result.CREATED
    found = ledger.account(town.ann)
    assert (found.key_flags, found.key, found.key_epoch) == (KeyFlag(0), b"", 2)


def test_a_wallet_pays_under_its_own_key(town: Town, tmp_path: Path) -> None:
    both = with_officers(town)
    assert both.grant_role(CHEN, Role.OPERATOR, CHENS_KEY.public, operator=OPERATOR) is Result.CREATED
    operator = town.ledger.signed_by(Signer(CHEN, CHENS_KEY))
    wallet = operator.open_account("CNY", AccountKind.WALLET, operator=OPERATOR)
    shop = operator.open_account("CNY", AccountKind.MERCHANT, operator=OPERATOR)
    assert operator.set_key(wallet, ANNS_KEY.public) is Result.CREATED
    assert both.transfer(both.issuance("CNY"), wallet, "50.00") is Result.CREATED

    assert town.ledger.pay(wallet, shop, "1.00") is Result.NOT_AUTHORISED
    assert operator.pay(wallet, shop, "1.00") is Result.NOT_AUTHORISED, "an account with a key signs by itself"
    mine = town.ledger.signed_by(town.ledger.signer_for(wallet, ANNS_KEY))
    assert mine.pay(wallet, shop, "12.50") is Result.CREATED
    with mine.chain() as chain:
        chain.transfer(wallet, shop, 1)
        chain.pay(wallet, shop, 2)
    assert chain.results == [Result.CREATED, Result.CREATED]
    assert mine.balance(shop) == 1_253

    assert operator.set_key(wallet, NEW_KEY.public) is Result.CREATED
    assert mine.pay(wallet, shop, 1) is Result.KEY_EPOCH_DIFFERS
    mine = town.ledger.signed_by(town.ledger.signer_for(wallet, NEW_KEY))
    assert mine.pay(wallet, shop, 1) is Result.CREATED
    town.ledger.close()
    assert "3 by accounts" in "\n".join(verify(tmp_path, authority=True).proved)


def test_a_key_of_another_account_raises_at_once(town: Town) -> None:
    ledger = town.ledger
    with pytest.raises(UsageError, match="has no key") as error:
        ledger.signer_for(town.ann, ANNS_KEY)
    assert error.value.hint
    assert str(ANNS_KEY.public) in error.value.hint
    ledger.set_key(town.ann, ANNS_KEY.public)
    assert ledger.signer_for(town.ann, ANNS_KEY) == Signer(town.ann, ANNS_KEY, currency=156, key_epoch=1)
    with pytest.raises(UsageError, match="has a different key"):
        ledger.signer_for(town.ann, NEW_KEY)
    with pytest.raises(UsageError, match="no account"):
        ledger.signer_for(12345, ANNS_KEY)


def test_roles_are_granted_for_a_time_and_revoked(town: Town) -> None:
    both = with_officers(town)
    grant = both.new_id()
    assert both.grant_role(503, Role.OFFICER, NEW_KEY.public, until_ns=START_NS * 2, id=grant) is Result.CREATED
    alone = town.ledger.signed_by(Signer(503, NEW_KEY))
    assert alone.define_currency("EUR", zone="Europe/Paris") is Result.CREATED
    assert alone.revoke_role(grant) is Result.TWO_PERSONS_MUST_SIGN
    assert both.revoke_role(grant) is Result.CREATED
    assert both.revoke_role(grant) is Result.GRANT_REVOKED
    assert alone.define_currency("USD", zone="America/New_York") is Result.SIGNER_NOT_FOUND
    assert both.grant_role(504, Role.WITNESS, NEW_KEY.public, from_ns=5, until_ns=5) is (
        Result.WINDOW_MUST_END_AFTER_START
    )


def test_the_end_of_a_signed_block_leaves_the_ledger_open(town: Town, tmp_path: Path) -> None:
    with town.ledger as ledger:
        both = with_officers(town)
        with both as signed, ledger.signed_by() as unsigned:
            assert signed.transfer(town.mint, town.ann, "1.00") is Result.CREATED
            assert unsigned.transfer(town.mint, town.ann, "1.00") is Result.NOT_AUTHORISED
        assert both.transfer(town.mint, town.ann, "1.00") is Result.CREATED
        assert ledger.balance(town.ann) == 200
        both.close()
        with pytest.raises(UnavailableError, match="the ledger is closed"):
            ledger.balance(town.ann)
    with Ledger.open(tmp_path) as again:
        assert again.balance(town.ann) == 200


def test_wrong_types_of_keys_and_signers_are_refused(town: Town) -> None:
    ledger = town.ledger
    with pytest.raises(UsageError, match="key must be a PublicKey") as error:
        ledger.set_key(town.ann, ANNS_KEY)  # type: ignore[arg-type]
    assert error.value.hint
    assert "never a private key" in error.value.hint
    with pytest.raises(UsageError, match="key must be a PublicKey"):
        ledger.grant_role(1, Role.OFFICER, b"key")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="signed_by accepts Signer objects"):
        ledger.signed_by(ANNS_KEY)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="a signer's key must be a SigningKey"):
        Signer(1, ANNS_KEY.public)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"key_epoch must .*; got -1"):
        Signer(1, ANNS_KEY, key_epoch=-1)
