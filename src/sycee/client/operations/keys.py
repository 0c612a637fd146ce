"""Keys of wallets: prove, set and revoke them; the recovery of a wallet whose phone was lost."""

from __future__ import annotations

from typing import Final

from sycee.client.calls import Call, action, read, value
from sycee.client.exchange import Conversation, Session
from sycee.client.operations.arguments import ledger_of, name_of, number_of
from sycee.client.operations.wallets import set_key_record
from sycee.client.signing import Signer, Wanted
from sycee.client.values import Keys, KeyState, Recovery
from sycee.core.keys import PublicKey, SigningKey
from sycee.core.records.layout import Block, Kind, Reason
from sycee.core.records.signed_messages import proof_message

# The server does two parts later, if it was stopped meanwhile: up to 30 days after the recovery and after its end.
RECOVERY_VALIDITY_NS_MAX: Final = 32 * 24 * 3_600 * 10**9


def keys(wallet: int | str) -> Call[Keys]:
    """Return the present key of a wallet, its earlier ones, and the values for the proof of a new key."""
    name = name_of(wallet)
    return read(f"/v1/wallets/{name}/keys", value(Keys, wallet=name))


def prove_key(
    wallet: int | str, key: SigningKey, *, key_epoch: int = 0, new_key: PublicKey | None = None
) -> Call[bytes]:
    """Return the signature with which a new key proves to the operator that its owner has it.

    `new_key`: with it `key` is the wallet's present key, and agrees to be replaced by that one. `key_epoch`: 1 for a
    wallet that is to be opened. Without it the caller must be able to see the wallet. A proof is for one wallet and one
    epoch, and moves no money.
    """

    def converse(session: Session) -> Conversation[bytes]:
        ledger_id, _ = yield from ledger_of(session)
        epoch = key_epoch or (yield from keys(wallet).converse(session)).next_epoch
        return key.sign(proof_message(ledger_id, number_of(wallet), epoch, new_key or key.public))

    return Call(converse)


def set_key(
    wallet: int | str, key: PublicKey, proof: bytes, signer: Signer, *, consent: bytes = b"",
    reason: str = "rotation", id: int = 0,
) -> Call[KeyState]:  # fmt: skip
    """Give a wallet a new key: no payment under the old one passes. A person of the operator signs.

    `proof`: of `prove_key`. `consent`: of `prove_key` with the present key, for a wallet that has one. `reason`: one
    word, which is kept with the key.
    """
    account = number_of(wallet)
    return action(
        f"/v1/wallets/{name_of(account)}/keys",
        {"key": str(key), "proof": proof.hex(), "consent": consent.hex(), "reason": reason},
        value(KeyState, wallet=name_of(account), key=str(key)),
        signers=(signer,),
        before=([_unblock(account)],),
        wanted=lambda _: [_block(account), set_key_record(account, key)],
        id=id,
    )


def revoke_key(wallet: int | str, signer: Signer, *, reason: str = "lost", id: int = 0) -> Call[KeyState]:
    """Remove the key of a wallet: nobody takes its money until it has a new key. A person of the operator signs."""
    account = number_of(wallet)
    return action(
        f"/v1/wallets/{name_of(account)}/keys/revocation",
        {"reason": reason},
        value(KeyState, wallet=name_of(account), key=""),
        signers=(signer,),
        wanted=lambda _: [_block(account), set_key_record(account, None)],
        id=id,
    )


def recover(
    wallet: int | str, key: PublicKey, proof: bytes, signer: Signer, *, case: int, id: int = 0
) -> Call[Recovery]:
    """Give a wallet whose phone was lost a new key. For 24 hours it spends packets only, and its owner is told.

    - `proof`: of `prove_key`. `case`: an open case about the holder, opened by the holder or another person of staff.
    - A person of the operator signs three parts. The server chooses the rule sets of the recovery and of the time after
      it.
    """
    account = number_of(wallet)
    rule_set = Wanted(Kind.SET_RULE_SET, {"debit": account}, free=frozenset({"rule_set"}), is_linked=False)
    return action(
        f"/v1/wallets/{name_of(account)}/recovery",
        {"case": case, "key": str(key), "proof": proof.hex()},
        value(Recovery, accounts=[name_of(account)]),
        signers=(signer,),
        before=([_unblock(account)], [rule_set]),
        valid_ns_max=RECOVERY_VALIDITY_NS_MAX,
        wanted=lambda _: [_block(account), set_key_record(account, key), rule_set],
        id=id,
    )


def finish_recovery(wallet: int | str, signer: Signer, *, id: int = 0) -> Call[Recovery]:
    """End a recovery after its 24 hours with a fresh signature, where the stored one has expired."""
    account = number_of(wallet)
    rule_set = Wanted(Kind.SET_RULE_SET, {"debit": account}, free=frozenset({"rule_set"}), is_linked=False)
    return action(
        f"/v1/wallets/{name_of(account)}/recovery/end",
        {},
        value(Recovery),
        signers=(signer,),
        wanted=lambda _: [_unblock(account), rule_set],
        id=id,
    )


def _block(account: int) -> Wanted:
    fields = {"debit": account, "first": Reason.RECOVERY}
    return Wanted(Kind.BLOCK_ACCOUNT, fields, flags=Block.DEBIT, is_linked=False)


def _unblock(account: int) -> Wanted:
    fields = {"debit": account, "first": Reason.RECOVERY}
    return Wanted(Kind.UNBLOCK_ACCOUNT, fields, flags=Block.DEBIT, is_linked=False)
