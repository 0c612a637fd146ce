"""Wallets are opened one at a time and in bulk; nobody and no phone gets in twice, and what is refused has a code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.bank.killing import POSTGRESQL_IN_SOAK, check_kills
from tests.wallets import world
from tests.wallets.world import START_NS, Town

from sycee.bank.bank import Bank
from sycee.compliance.enforcement.service import Compliance
from sycee.core import ids
from sycee.core.errors import NotFound, Refused, UnavailableError, UsageError
from sycee.core.records import operations
from sycee.core.records.signed_messages import proof_message
from sycee.core.result_codes import Result
from sycee.database.actions import Actions
from sycee.wallets import opening, tables, tiers
from sycee.wallets.batch_opening import WRONG_PROOF, NewWallet
from sycee.wallets.directory import Wallet
from sycee.wallets.opening import DUPLICATE_PERSON, DUPLICATE_PHONE, Opening


@POSTGRESQL_IN_SOAK
def test_wallets_are_open_in_ledger_and_database(town: Town) -> None:
    ledger = town.bank.stores.ledger
    leo, ned, shop = (town.bank.directory.get(each) for each in (town.leo, town.ned, town.shop))
    assert [each.state for each in (leo, ned, shop)] == [tables.OPEN] * 3
    assert [each.is_custodial for each in (leo, ned, shop)] == [False, True, True]
    assert (ledger.account(town.leo).key_epoch, ledger.account(town.ned).key_epoch) == (1, 0)
    assert ledger.account(town.leo).rule_set == town.bank.wallet_classes()["class-2"]
    assert [row.public_key for row in town.bank.keys.history(town.leo)] == [str(world.LEO_KEY.public)]
    assert town.bank.institutions.get(town.tea).state == "active"
    assert town.bank.check() == []


def test_bulk_opens_the_good_rows_and_names_the_others_by_code(town: Town) -> None:
    columns = {
        "name": ["Ada", "Bo", "Cy", "Di", "Leo Again"],
        "phone": ["+86 139 0000 0001", "no phone", "+86 138 0000 0001", "+86 139 0000 0001", "+86 139 0000 0005"],
        "paper": ["", "", "", "", "E-LEO"],
        "paper_kind": ["", "", "", "", "passport"],
    }
    seen: list[int] = []
    opened = town.bank.wallets.open_many(
        columns, operator=2, tier="class-4", signers=town.operator, who=town.north, progress=seen.append
    )
    assert opened.refused == {1: "INVALID_PHONE", 2: DUPLICATE_PHONE, 3: DUPLICATE_PHONE, 4: DUPLICATE_PERSON}
    assert (opened.opened, seen) == (1, [5])
    assert opened.accounts[1:] == [0] * 4
    assert town.balance(opened.accounts[0]) == 0
    assert town.bank.check() == []


def test_bulk_in_several_groups_gives_each_person_its_own_wallet(small: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are refused between others, in the file and across groups; each phone finds its wallet and its name."""
    monkeypatch.setattr(opening, "GROUP_ROWS", 3)
    monkeypatch.setattr(opening, "INTENT_RECORDS_MAX", 2)
    bank, numbers = small.bank, [1, 2, 3, 2, 4, 5, 6, 1, 7]
    columns = {
        "name": [f"Nr {'x' * number}" for number in numbers],
        "phone": [f"+86 139 0000 000{number}" for number in numbers],
    }
    columns["phone"][4] = world.NED["phone"]
    seen: list[int] = []
    opened = bank.wallets.open_many(
        columns, operator=2, tier="class-4", signers=small.operator, who=small.north, progress=seen.append
    )
    assert opened.refused == {3: DUPLICATE_PHONE, 4: DUPLICATE_PHONE, 7: DUPLICATE_PHONE}
    assert seen == [3, 3, 3]
    for row in set(range(9)) - set(opened.refused):
        found, masked = bank.aliases.resolve(columns["phone"][row], by=small.north), "N* x" + "*" * (numbers[row] - 1)
        assert (found.account, found.name) == (opened.accounts[row], masked)
        assert bank.personal.mask_of(small.holder(found.account)) == masked
    assert bank.check() == []


def test_a_wallet_without_a_key_is_of_the_lowest_class(small: Town) -> None:
    with pytest.raises(UsageError, match="without its own key cannot be of the class class-2") as caught:
        small.bank.wallets.open(
            small.holder(small.ned), operator=2, tier="class-2", signers=small.operator, who=small.north
        )
    assert "class-4" in str(caught.value.hint)


def test_a_key_needs_a_proof_of_its_possession(small: Town) -> None:
    account, other = small.bank.wallets.new_account(), small.bank.wallets.new_account()
    key = world.STRANGER
    proof = key.sign(proof_message(small.bank.stores.ledger.ledger_id, other, 1, key.public))
    with pytest.raises(UsageError, match="is not a signature of ed25519"):
        small.bank.wallets.open(
            small.holder(small.ned), operator=2, tier="class-2", signers=small.operator, who=small.north,
            account=account, key=key.public, proof=proof,
        )  # fmt: skip
    assert small.bank.directory.find(account) is None


def test_a_person_is_registered_once(small: Town) -> None:
    with pytest.raises(UsageError, match="DUPLICATE_PERSON"):
        world.open_with_key(small.bank, world.LEO | {"phone": "+86 139 1111 1111"}, world.STRANGER)
    with pytest.raises(UsageError, match="DUPLICATE_PHONE"):
        world.open_with_key(small.bank, {"name": "Zoe", "phone": world.LEO["phone"]}, world.STRANGER)


def test_only_the_operator_opens_its_wallets(small: Town) -> None:
    with pytest.raises(UsageError, match=r"wallet\.open"):
        small.bank.wallets.open(
            small.holder(small.ned), operator=2, tier="class-4", signers=small.signers(world.ANN),
            who=world.person(small.bank, world.ANN),
        )  # fmt: skip
    with pytest.raises(Refused) as caught:  # the duty is there, the signature is not
        small.bank.wallets.open(
            small.holder(small.ned), operator=2, tier="class-4", signers=small.signers(world.DESK), who=small.north
        )
    assert caught.value.result is Result.NOT_AUTHORISED
    assert small.bank.check() == []


def test_an_opening_that_lapsed_is_signed_anew(small: Town) -> None:
    columns = {"phone": ["+86 139 0000 0001", "+86 139 0000 0002"]}
    refused = small.bank.wallets.open_many(
        columns, operator=2, tier="class-4", signers=small.signers(world.DESK), who=small.north
    )
    assert refused.refused == {0: "NOT_AUTHORISED", 1: "NOT_AUTHORISED"}
    (lapsed,) = small.bank.wallets.lapsed(2)
    assert (lapsed.wallets, lapsed.wallet_class, lapsed.key, lapsed.is_person) == (2, "class-4", "", True)
    assert small.bank.wallets.lapsed(3) == small.bank.wallets.lapsed(after=lapsed.id) == []
    with pytest.raises(NotFound, match="is no opening of operator 2"):
        small.bank.wallets.renew_one(lapsed.account, operator=2, signers=small.operator, who=small.north)
    assert small.bank.wallets.renew(signers=small.operator, who=small.north) == 2
    assert small.bank.wallets.lapsed() == []
    assert small.bank.wallets.renew_one(lapsed.id, operator=2, signers=small.operator, who=small.north) == 2
    assert small.bank.check() == []


@POSTGRESQL_IN_SOAK
def test_a_wallet_is_closed_when_it_is_empty(town: Town) -> None:
    bank = town.bank
    with pytest.raises(Refused) as caught:
        bank.changes.close(town.mia, signers=town.operator, who=town.north)
    assert caught.value.result is Result.ACCOUNT_NOT_EMPTY
    assert bank.changes.close(town.ned, signers=town.operator, who=town.north).state == tables.CLOSED
    assert bank.retention.until(town.holder(town.ned)) is not None
    assert bank.retention.until(town.holder(town.mia)) is None
    with pytest.raises(UsageError, match="no wallet with this alias"):
        bank.aliases.resolve(world.NED["phone"], by=town.north)
    assert bank.check() == []


def test_a_wallet_changes_its_class(small: Town) -> None:
    bank = small.bank
    assert bank.changes.change_class(small.leo, "class-3", signers=small.operator, who=small.north).wallet_class == (
        "class-3"
    )
    assert bank.stores.ledger.account(small.leo).rule_set == bank.wallet_classes()["class-3"]
    with pytest.raises(UsageError, match="without its own key"):
        bank.changes.change_class(small.ned, "class-3", signers=small.operator, who=small.north)
    assert bank.check() == []


CITIZENS = {
    "name": [f"Citizen {number}" for number in range(20)],
    "phone": [f"+86 139 0000 {number:04}" for number in range(20)],
}


def open_citizens(bank: Bank) -> None:
    """Open the wallets that are not open yet: a second call finds the phones of the first."""
    north = world.person(bank, world.NORTH)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(opening, "GROUP_ROWS", 8)  # three groups
        bank.wallets.open_many(CITIZENS, operator=2, tier="class-4", signers=bank.signers(world.NORTH), who=north)


def expect_citizens(bank: Bank) -> None:
    town = world.town(bank)
    found = {bank.aliases.resolve(phone, by=town.north).account for phone in CITIZENS["phone"]}
    assert len(found) == len(CITIZENS["phone"])
    assert {bank.directory.get(account).state for account in found} == {tables.OPEN}


@POSTGRESQL_IN_SOAK
def test_a_killed_opening_opens_each_wallet_once(server: str, tmp_path: Path) -> None:
    assert check_kills(server, tmp_path, world.prepared(server), open_citizens, expect=expect_citizens) >= 8


def open_batch(bank: Bank) -> None:
    """Open a batch under one id: two wallets, the second with a key, and a row whose proof is wrong."""
    key, ledger_id, accounts = world.LEO_KEY, bank.stores.ledger.ledger_id, [7 << 80 | at for at in range(3)]
    proof = key.sign(proof_message(ledger_id, accounts[1], 1, key.public))
    wallets = [NewWallet(accounts[0]), *(NewWallet(each, key.public, proof) for each in accounts[1:])]
    columns = {name: texts[:3] for name, texts in CITIZENS.items()}
    north, signers = world.person(bank, world.NORTH), bank.signers(world.NORTH)
    made = bank.wallets.open_batch(columns, wallets, operator=2, tier="class-4", signers=signers, who=north, id=7)
    assert [(each.account, each.code) for each in made] == list(zip(accounts, ["", "", WRONG_PROOF], strict=True))


def expect_batch(bank: Bank) -> None:
    town = world.town(bank)
    found = [bank.aliases.resolve(phone, by=town.north).account for phone in CITIZENS["phone"][:2]]
    assert [bank.directory.get(each).is_custodial for each in found] == [True, False]
    assert bank.stores.ledger.account(found[1]).key == world.LEO_KEY.public.key
    with pytest.raises(UsageError, match="no wallet with this alias"):
        bank.aliases.resolve(CITIZENS["phone"][2], by=town.north)


@POSTGRESQL_IN_SOAK
def test_a_killed_batch_is_opened_once(server: str, tmp_path: Path) -> None:
    assert check_kills(server, tmp_path, world.prepared(server), open_batch, expect=expect_batch) >= 4


def test_an_operator_that_compliance_did_not_admit_opens_nothing(small: Town) -> None:
    bank = small.bank
    checked = Opening(
        replace(bank.stores, actions=Actions()), bank.people, bank.institutions, bank.keys, bank.personal,
        bank.registry, bank.directory, preset=tiers.load("ecny-2021"), rule_sets=bank.wallet_classes,
        currency=bank.config.currency, compliance=Compliance(bank.stores.engine),
    )  # fmt: skip
    with pytest.raises(UsageError, match="compliance did not admit North Bank-id: no decision"):
        checked.open_many({"phone": ["+86 139 0000 0001"]}, operator=2, tier="class-4", signers=[], who=small.north)


def test_a_citizen_reads_no_other_citizens_access_log(small: Town) -> None:
    leo, mia = small.holder(small.leo), small.holder(small.mia)
    assert small.bank.life.access_log(leo, by=leo) == []
    with pytest.raises(UsageError, match=r"may not request person\.log"):
        small.bank.life.access_log(leo, by=mia)


def test_a_wallet_under_recovery_keeps_its_class(small: Town) -> None:
    bank, ledger = small.bank, small.bank.stores.ledger
    recovery = operations.set_rule_set(ledger.new_id(), account=small.leo, rule_set=bank.wallet_classes()["class-4"])
    ledger.signed_by(*small.operator).submit(recovery)
    with pytest.raises(UsageError, match="is under recovery"):
        bank.changes.change_class(small.leo, "class-2", signers=small.operator, who=small.north)
    assert ledger.account(small.leo).rule_set == bank.wallet_classes()["class-4"]


@pytest.mark.parametrize("step", ["perform", "_finish"])
def test_a_repeated_opening_leaves_one_person(small: Town, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """The call ends after the secret was written, or after the intent was stored; the same id opens one wallet."""
    intents, keys, request = small.bank.stores.intents, small.bank.personal_keys, ids.new(START_NS // 1_000_000)
    before, works = keys.persons(), getattr(intents, step)

    def opened() -> Wallet:
        fields = {"name": "Zoe", "phone": "+86 138 0000 0099"}
        with ids.derived_from(request):
            return small.bank.wallets.open_person(
                fields, operator=2, tier="class-4", signers=small.operator, who=small.north, id=request
            )

    def ends(*_: object) -> None:
        raise UnavailableError("the process was killed")

    monkeypatch.setattr(intents, step, ends)
    with pytest.raises(UnavailableError, match="killed"):
        opened()
    monkeypatch.setattr(intents, step, works)
    wallet = opened()
    assert (wallet.state, opened()) == ("open", wallet)
    assert keys.persons() == sorted([*before, wallet.holder])
    assert small.bank.personal.mask_of(wallet.holder) == "Z**"
    assert small.bank.check() == []
