"""`sycee key`: generate signing keys, prove their possession, set the keys of accounts, list those on a machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, local_time, named_key, open_bank
from sycee.cli.lazy import ids
from sycee.cli.parameters import AsJson, Consent, Proof, signatures_of
from sycee.cli.proposing import maker_of, signing_keys
from sycee.cli.terminal import note, print_table, show, show_json, table
from sycee.cli.wallet_options import is_revoked
from sycee.core.errors import UsageError

if TYPE_CHECKING:
    from sycee.bank.bank import Bank
    from sycee.database.actions import IntentOutcome

Account = Annotated[str, Parameter(help="Id of the account.")]

app = App(name="key", help="Generate signing keys, and set the keys of accounts.")


@app.command
def new(
    file: Annotated[Path, Parameter(help="New file for the private key, which its owner alone can read.")],
    /,
    *,
    p256: Annotated[bool, Parameter(negative="", help="Use ECDSA on P-256, which most secure hardware supports.")] = (
        False
    ),
) -> int:
    """Generate a signing key from this machine's entropy, and print its public key.

    The algorithm is Ed25519 unless --p256 is given. The file has no password. The public key may be published.
    """
    from sycee.core.keys import SigningKey

    key = SigningKey.generate("p256" if p256 else "ed25519")
    key.save(file)
    # The key remains usable if its owner learns the public key.
    left = f"the private key is in {file}, and its public key is {key.public}"
    try:
        print(key.public, flush=True)
    except OSError:
        note(f"note: {left}")
        raise
    except KeyboardInterrupt:
        raise KeyboardInterrupt(left) from None
    return 0


@app.command(name="list")
def list_(
    folder: BankFolder,
    /,
    *,
    json_: AsJson = False,
) -> int:
    """List the private keys on the bank's machine, each with its purpose.

    A server needs the key of operator 0 alone, whose accounts hold no money of customers. Keep all others elsewhere.
    """
    with open_bank(folder) as bank:
        found = bank.key_files.list()
    if json_:
        rows = [
            {
                "file": str(each.path),
                "subject": ids.format(each.subject),
                "key": str(each.key),
                "signs": list(each.signs),
                "expected": each.expected,
            }
            for each in found
        ]
        show_json({"keys": rows})
    else:
        made = table("signs for", "key", "file")
        for each in found:
            made.add_row(", ".join(each.signs) or "nothing now", str(each.key), str(each.path))
        print_table(made)
    if unneeded := [each for each in found if not each.expected]:
        note(f"note: {len(unneeded)} of these keys should not be here: a server needs the key of operator 0 alone")
    return 0


@app.command
def prove(
    file: Annotated[Path, Parameter(help="File with the private key.")],
    /,
    *,
    ledger: Annotated[str, Parameter(help="Id of the ledger, 32 hexadecimal digits.")],
    account: Annotated[str, Parameter(help="Id of the account that gets the key.")],
    epoch: Annotated[str, Parameter(help="Key epoch with the new key: the present one plus 1.")],
    new_key: Annotated[
        str, Parameter(help="The new public key, if FILE has the present key: agree to be replaced by it.")
    ] = "",
) -> int:
    """Prove to an operator that you have the private key that your account is to get: print a signature.

    With --new-key the present key agrees to the new one. The proof is for one account and one epoch, and moves no
    money.
    """
    from sycee.core.keys import SigningKey
    from sycee.core.records.signed_messages import proof_message

    if not epoch.isascii() or not epoch.isdigit() or not 0 < int(epoch[:11]) < 1 << 32:
        raise UsageError(f"{epoch!r} is not a key epoch", hint="the operator tells you the number: 1 for a first key")
    try:
        ledger_id = bytes.fromhex(ledger)
    except ValueError as error:
        raise UsageError(f"{ledger!r} is not the id of a ledger", hint="give 32 hexadecimal digits") from error
    key = SigningKey.load(file)
    named = named_key(new_key) if new_key else key.public
    print(key.sign(proof_message(ledger_id, ids.parse(account), int(epoch), named)).hex())
    return 0


@app.command(name="show")
def show_(
    folder: BankFolder,
    account: Account,
    /,
    *,
    json_: AsJson = False,
) -> int:
    """Show the key of an account, its earlier keys, and the values that a proof by a new key needs."""
    from sycee.core.keys import PublicKey

    with open_bank(folder) as bank:
        id = ids.parse(account)
        found, zone = bank.stores.ledger.account(id), bank.config.text("zone")
        public = str(PublicKey(int(found.key_flags), found.key)) if found.key else ""
        earlier = [
            {
                "epoch": row.epoch,
                "key": row.public_key,
                "from": local_time(row.from_ns, zone),
                "reason": row.reason,
                "waits": row.state != "set",
            }
            for row in bank.keys.history(id)
        ]
        members = {
            "account": account,
            "ledger": bank.stores.ledger.ledger_id.hex(),
            "operator": found.operator,
            "key": public,
            "custodial": not public and not is_revoked(found),
            "epoch": found.key_epoch,
            "next_epoch": found.key_epoch + 1,
            "keys": earlier,
        }
    if json_:
        show_json(members)
        return 0
    nobody = "no key: it was revoked, and nobody signs until the account gets a new one"
    without = nobody if is_revoked(found) else "no key: custodial, its operator signs"
    show(
        f"account {account}, operator {found.operator}: {public or without}",
        f"for a proof: --ledger {members['ledger']} --account {account} --epoch {members['next_epoch']}",
    )
    for row in earlier:
        waits = ", debits blocked until the same key is set again" if row["waits"] else ""
        show(f"epoch {row['epoch']} from {row['from']}: {row['key'] or 'no key'} ({row['reason']}){waits}")
    return 0


@app.command(name="set")
def set_(
    folder: BankFolder,
    account: Account,
    /,
    *,
    public_key: Annotated[str, Parameter(help="The new public key.")],
    proof: Proof = "",
    consent: Consent = "",
    reason: Annotated[str, Parameter(help="Reason, one word, which is kept with the key.")] = "rotation",
    key: KeyFiles = None,
) -> int:
    """Set the key of an account: debits are blocked, the key is set, and the block is lifted in a later frame.

    A person of the account's operator signs, and so does the account's present key, if there is one. A wallet whose key
    is lost or revoked needs `sycee person lost`. No payment under the old key passes the block. After an interruption
    of more than 300 seconds the same command lifts the block, without a proof.
    """
    keys, (signature, agreed) = signing_keys(key), signatures_of(proof, consent)
    with open_bank(folder) as bank:
        outcome = bank.keys.set(
            ids.parse(account),
            named_key(public_key),
            signature,
            signers=bank.signers(*keys),
            who=maker_of(bank, keys),
            consent=agreed,
            reason=_word(reason),
        )
        _show_outcome(bank, account, outcome)
    return 0


@app.command
def revoke(
    folder: BankFolder,
    account: Account,
    /,
    *,
    reason: Annotated[str, Parameter(help="Reason, one word, which is kept with the key.")],
    key: KeyFiles = None,
) -> int:
    """Remove the key of an account, and block its debits until it gets a new key.

    A person of the account's operator signs, or an officer. Neither a finder of the key nor the operator can pay.
    Such a wallet is not custodial, because nobody signs for it; so it keeps its class, also one that a custodial wallet
    cannot have.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        outcome = bank.keys.revoke(
            ids.parse(account), reason=_word(reason), signers=bank.signers(*keys), who=maker_of(bank, keys)
        )
        _show_outcome(bank, account, outcome)
    return 0


def _word(text: str) -> str:
    """Return a reason. Raises UsageError for a sentence, which could name a person."""
    if not text.isascii() or not text.replace("-", "").isalnum() or len(text) > 32:
        raise UsageError(f"{text[:40]!a} is not a reason", hint="give one word, such as lost, stolen or rotation")
    return text


def _show_outcome(bank: Bank, account: str, outcome: IntentOutcome) -> None:
    outcome.require_created(f"the key of account {account} was not changed")
    epoch = bank.stores.ledger.account(ids.parse(account)).key_epoch
    show(f"account {account}: key epoch {epoch} from frame {outcome.frame:,} on")


@app.command(name="rotate-master")
def rotate_master(
    folder: BankFolder,
    /,
    *,
    new_master_key: Annotated[Path, Parameter(help="File of the new master key, created if absent.")],
) -> int:
    """Replace the master key of personal data in the key file, its backup and the settings.

    Stop every process that has the bank open. After a kill, repeat the command with the same file.
    """
    from sycee.bank.master_rotation import rotate_master_key

    done = rotate_master_key(folder, new_master_key)
    show(f"{done.persons:,} secrets have the master key in {new_master_key}")
    if done.source != str(folder / "sycee.toml"):
        note(f"{done.source} names the old master key: name the new file there")
    return 0
