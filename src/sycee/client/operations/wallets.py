"""Wallets: read, open, change and close them; waterfalls and mandates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sycee.client.calls import (
    Call,
    Members,
    Page,
    action,
    fresh_id,
    listed,
    message_action,
    read,
    require_same,
    rows,
    value,
)
from sycee.client.exchange import Conversation, Session
from sycee.client.operations.arguments import epoch_of, id_member, ledger_of, name_of, number_of
from sycee.client.signing import Asked, Signer, Wanted
from sycee.client.values import (
    LapsedOpening,
    Line,
    Mandate,
    NewPerson,
    Opened,
    OpenedRow,
    RenewedOpening,
    Restriction,
    Wallet,
    WalletRow,
    WalletState,
)
from sycee.core import ids
from sycee.core.keys import PublicKey
from sycee.core.records.layout import AccountKind, Kind, Reason
from sycee.core.records.signed_messages import mandate_message


def wallet(id: int | str) -> Call[Wallet]:
    """Return a wallet. Raises NotFound for one that the caller may not see."""
    name = name_of(id)
    return read(f"/v1/wallets/{name}", value(Wallet, wallet=name))


def wallets(holder: int | str = "") -> Call[Page[WalletRow]]:
    """Return the wallets of a holder that the caller may see; by default those of the caller and its merchants."""
    return listed("/v1/wallets", value(WalletRow), query=id_member("holder", holder))


def statement(wallet: int | str) -> Call[Page[Line]]:
    """Return the lines of a wallet, newest first."""
    return listed(f"/v1/wallets/{name_of(wallet)}/statement", value(Line))


def restrictions(wallet: int | str) -> Call[Sequence[Restriction]]:
    """Return why a wallet is blocked, or may spend packets only."""
    return rows(f"/v1/wallets/{name_of(wallet)}/restrictions", value(Restriction))


def open_person(
    person: Mapping[str, str],
    *,
    operator: int,
    tier: str,
    signer: Signer,
    wallet: int = 0,
    key: PublicKey | None = None,
    proof: bytes = b"",
    id: int = 0,
) -> Call[Opened]:
    """Register a person and open a wallet. A person of the operator signs.

    - `person`: name and phone; also paper, paper_kind, birth, address.
    - `wallet`: a fresh id by default. The server chooses the rule set of the class and the suspense account.
    - `key`: of the wallet, with the `proof` of `prove_key`; without it the wallet is custodial.
    """
    body = {"person": dict(person)}
    return _open("/v1/persons", body, AccountKind.WALLET, operator, tier, signer, wallet, key, proof, id)


def open_persons(
    persons: Sequence[NewPerson], *, operator: int, tier: str, signer: Signer, id: int = 0
) -> Call[Sequence[OpenedRow]]:
    """Register up to 1,000 persons and open a wallet for each. A person of the operator signs.

    A row that cannot be opened, such as a person who is registered, has a code and does not stop the others: the
    server asks for no signature of it. The same `id` and persons again return the same rows: ids of wallets that are
    not given follow from `id`.
    """
    id = id or fresh_id()
    derived = ids.derive(id.to_bytes(ids.ID.itemsize, "big"), "wallets", len(persons), time_ms=id >> 80)
    named = [(each.wallet or wallet, each) for each, wallet in zip(persons, ids.to_ints(derived), strict=True)]
    wanted = [_opening(AccountKind.WALLET, operator, wallet, free=frozenset({"id"})) for wallet, _ in named]
    wanted += [replace(set_key_record(wallet, each.key), free=frozenset({"id"})) for wallet, each in named if each.key]
    names = [name_of(wallet) for wallet, _ in named]
    fields = dict.fromkeys(name for each in persons for name in each.fields)
    body: dict[str, Any] = {
        "operator": operator,
        "tier": tier,
        "wallets": names,
        "columns": {name: [each.fields.get(name, "") for each in persons] for name in fields},
    }
    if any(each.key for each in persons):
        body |= {
            "keys": [str(each.key or "") for each in persons], "proofs": [each.proof.hex() for each in persons]
        }  # fmt: skip
    read_row = value(OpenedRow)

    def make(members: Members) -> Sequence[OpenedRow]:
        found = members["rows"]
        for row, name in zip(found, names, strict=True):
            require_same(row, "wallet", name)
        return tuple(map(read_row, found))

    return action(
        "/v1/persons/many",
        body,
        make,
        signers=(signer,),
        wanted=lambda _: wanted,
        may_omit="debit",
        id=id,
    )


def open_wallet(
    holder: int | str,
    *,
    operator: int,
    tier: str,
    signer: Signer,
    is_merchant: bool = False,
    wallet: int = 0,
    key: PublicKey | None = None,
    proof: bytes = b"",
    id: int = 0,
) -> Call[Opened]:
    """Open a wallet for a registered person, or a merchant. A person of the operator signs.

    `tier`: "" for a merchant without limits. All else as `open_person`.
    """
    kind = AccountKind.MERCHANT if is_merchant else AccountKind.WALLET
    body = {"holder": name_of(holder)}
    return _open("/v1/wallets", body, kind, operator, tier, signer, wallet, key, proof, id)


def lapsed_openings(operator: int) -> Call[Page[LapsedOpening]]:
    """Return the openings at an operator that a crash interrupted until their signatures had expired."""
    return listed(f"/v1/operators/{operator}/lapsed-openings", value(LapsedOpening, operator=operator))


def renew_opening(lapsed: LapsedOpening, signer: Signer, *, id: int = 0) -> Call[RenewedOpening]:
    """Sign a lapsed opening anew. A person of the operator signs.

    The server has the records since the first signature: it chose suspense account, rule set and the ids of custodial
    wallets.
    """
    kind = AccountKind.WALLET if lapsed.kind == "person" else AccountKind.MERCHANT
    if lapsed.key:
        account = number_of(lapsed.wallet)
        keyed = replace(set_key_record(account, PublicKey.parse(lapsed.key)), free=frozenset({"id"}))
        wanted = [_opening(kind, lapsed.operator, account, free=frozenset({"id"})), keyed]
    else:
        wanted = [_opening(kind, lapsed.operator, free=frozenset({"id", "debit"}))] * lapsed.wallets
    return action(
        f"/v1/operators/{lapsed.operator}/lapsed-openings/{lapsed.opening}/renewal",
        {},
        value(RenewedOpening, opening=lapsed.opening),
        signers=(signer,),
        wanted=lambda _: wanted,
        id=id,
    )


def close_wallet(wallet: int | str, signer: Signer, *, id: int = 0) -> Call[WalletState]:
    """Close an empty wallet permanently, with its aliases. A person of its operator signs."""
    wanted = Wanted(Kind.CLOSE_ACCOUNT, {"debit": number_of(wallet), "first": Reason.REQUEST})
    return _changed(wallet, "closure", {}, wanted, signer, id)


def change_class(wallet: int | str, tier: str, signer: Signer, *, id: int = 0) -> Call[WalletState]:
    """Move a wallet to another class of the preset. A person of its operator signs.

    The server chooses the rule set of the class.
    """
    wanted = Wanted(Kind.SET_RULE_SET, {"debit": number_of(wallet)}, free=frozenset({"rule_set"}))
    return _changed(wallet, "class", {"tier": tier}, wanted, signer, id)


def link_bank(wallet: int | str, bank_account: str, signer: Signer, *, id: int = 0) -> Call[WalletState]:
    """Send the excess over a wallet's limit to the holder's bank account. A person of its operator signs.

    The server chooses the operator's account for transit. `bank_account` is stored encrypted.
    """
    wanted = Wanted(Kind.LINK_ACCOUNT, {"debit": number_of(wallet)}, free=frozenset({"credit"}))
    return _changed(wallet, "waterfall", {"bank_account": bank_account}, wanted, signer, id)


def unlink_bank(wallet: int | str, signer: Signer, *, id: int = 0) -> Call[WalletState]:
    """End a waterfall: payments that exceed the limit are then refused. A person of the operator signs."""
    wanted = Wanted(Kind.LINK_ACCOUNT, {"debit": number_of(wallet)})
    return _changed(wallet, "waterfall/end", {}, wanted, signer, id)


def mandate(wallet: int | str) -> Call[Mandate]:
    """Return the mandate of a wallet."""
    return read(f"/v1/wallets/{name_of(wallet)}/mandate", value(Mandate))


def grant_mandate(wallet: Signer, day_max_minor: int, *, id: int = 0) -> Call[WalletState]:
    """Let payments take what they lack from the bank account, up to a maximum a day. The wallet's own key signs."""

    def message(session: Session, number: int, _: Asked) -> Conversation[bytes]:
        ledger_id, currency = yield from ledger_of(session)
        epoch = yield from epoch_of(session, wallet.id)
        return mandate_message(
            ledger_id, number, account=wallet.id, key_epoch=epoch, currency=currency, day_max_minor=day_max_minor
        )

    name = name_of(wallet.id)
    return message_action(
        f"/v1/wallets/{name}/mandate",
        {"day_max_minor": str(day_max_minor)},
        value(WalletState, wallet=name),
        message=message,
        signers=(wallet,),
        id=id,
    )


def end_mandate(wallet: int | str, *, id: int = 0) -> Call[WalletState]:
    """End the mandate of a wallet, as its holder or as a person of its operator."""
    name = name_of(wallet)
    return action(f"/v1/wallets/{name}/mandate/end", {}, value(WalletState, wallet=name), id=id)


def set_key_record(account: int, key: PublicKey | None) -> Wanted:
    """Return the record that sets the key of an account, or removes it."""
    if key is None:
        return Wanted(Kind.SET_KEY, {"debit": account}, is_linked=False)
    halves = (int.from_bytes(each, "little") for each in (key.key[:16], key.key[16:]))
    fields = dict(zip(("credit", "reference"), halves, strict=True))
    return Wanted(Kind.SET_KEY, {"debit": account, **fields}, flags=key.flags, is_linked=False)


def _open(
    path: str, body: Mapping[str, object], kind: AccountKind, operator: int, tier: str, signer: Signer, wallet: int,
    key: PublicKey | None, proof: bytes, id: int,
) -> Call[Opened]:  # fmt: skip
    account = wallet or fresh_id()
    name = name_of(account)
    opening = _opening(kind, operator, account)
    keyed = {"key": str(key), "proof": proof.hex()} if key is not None else {}
    return action(
        path,
        {"operator": operator, "tier": tier, "wallet": name, **body, **keyed},
        value(Opened, wallet=name),
        signers=(signer,),
        wanted=lambda _: [opening] if key is None else [opening, set_key_record(account, key)],
        id=id,
    )


def _opening(kind: AccountKind, operator: int, account: int = 0, *, free: frozenset[str] = frozenset()) -> Wanted:
    """Return the record that opens an account, whose suspense account, currency and rule set the server chooses."""
    return Wanted(
        Kind.OPEN_ACCOUNT,
        {"debit": account, "first": kind, "count": operator},
        free=free | {"credit", "number", "rule_set"},
        is_linked=False,
    )


def _changed(
    wallet: int | str, step: str, body: Mapping[str, str], wanted: Wanted, signer: Signer, id: int
) -> Call[WalletState]:
    name = name_of(wallet)
    return action(
        f"/v1/wallets/{name}/{step}",
        body,
        value(WalletState, wallet=name),
        signers=(signer,),
        wanted=lambda _: [wanted],
        id=id,
    )
