"""The checks: each sends what an integration sends or must never send, and compares the server's answer.

The checks are in the order in which they run. Later checks use the payments of earlier ones. After the last, every
minor unit is back in the wallet that paid it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sycee.client import Client, Credentials, IdConflict, NotAuthenticated, Problem, Signer, api
from sycee.client.signing import ENVELOPE_VALIDITY_NS
from sycee.client.values import Payer, SignedPayment
from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import RealClock
from sycee.core.errors import SyceeError
from sycee.core.keys import ED25519, SigningKey
from sycee.core.records import operations

PAID_MINOR: Final = 3
MINUTE_NS: Final = 60 * 10**9


@dataclass(frozen=True, slots=True)
class Integration:
    """The subject of a test: a server, a program with its key, and two wallets with their keys.

    `receiver`: address of the team's receiver of webhooks, "" for none; `webhook_key`: whose public key it trusts.
    """

    url: str
    credentials: Credentials
    payer: Signer
    payee: Signer
    origin: str = ""
    receiver: str = ""
    webhook_key: SigningKey | None = field(default=None, repr=False)


class Differs(SyceeError):
    """A check found something else than expected."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check. `run` returns what was found, and raises Differs or another SyceeError."""

    group: str
    name: str
    expected: str
    run: Callable[[Bench], str]


CHECKS: Final[list[Check]] = []


class Bench:
    """State shared by the checks of one run: clients of the server, and the payments made so far."""

    def __init__(self, tested: Integration) -> None:
        self.tested = tested
        self.bank = self.client()
        self.payer: Payer | None = None
        self.payee: Payer | None = None
        self.paid: SignedPayment | None = None
        self.payment: Array | None = None
        self.before: int = 0

    def client(self, credentials: Credentials | None = None, *, wrong_ns: int = 0) -> Client:
        """Return a client. `wrong_ns`: by which this machine's clock is wrong."""

        def clock() -> int:
            return RealClock().now_ns() + wrong_ns

        return Client(
            self.tested.url, credentials or self.tested.credentials, origin=self.tested.origin, now_ns=clock,
            machine_ns=clock,
        )  # fmt: skip

    def wallets(self) -> tuple[Payer, Payer]:
        """Return payer and payee. Raises Differs if the check that reads them failed."""
        if self.payer is None or self.payee is None:
            raise Differs("the wallets could not be read")
        return self.payer, self.payee

    def made(self) -> tuple[SignedPayment, Array]:
        """Return the payment of the check "good". Raises Differs if it failed."""
        if self.paid is None or self.payment is None:
            raise Differs("there is no payment: the check of a good signature failed")
        return self.paid, self.payment

    def pay(self, minor: int = PAID_MINOR, *, id: int = 0) -> Array:
        """Return the record of a payment."""
        payer, payee = self.wallets()
        return operations.pay(id or new_id(), payer=payer.account, payee=payee.account, amount=minor)

    def close(self) -> None:
        """Close the connections."""
        self.bank.close()


def check(group: str, name: str, expected: str) -> Callable[[Callable[[Bench], str]], Callable[[Bench], str]]:
    """Add a check."""

    def add(run: Callable[[Bench], str]) -> Callable[[Bench], str]:
        CHECKS.append(Check(group, name, expected, run))
        return run

    return add


def refused(bench: Bench, record: Array, payer: Payer, code: str, *, valid_ns: int = ENVELOPE_VALIDITY_NS) -> str:
    """Send a record that the server must refuse with a code."""
    try:
        bench.bank.do(api.signed(payer, record, valid_ns=valid_ns))
    except Problem as problem:
        return same(f"{problem.status} {problem.code}", f"422 {code}")
    raise Differs("the payment was made")


def same(found: str, expected: str) -> str:
    """Return what was found. Raises Differs if it is something else than expected."""
    if found != expected:
        raise Differs(f"{found}, not {expected}")
    return found


def new_id() -> int:
    """Return a fresh id."""
    return ids.new(RealClock().now_ns() // 1_000_000)


# --- access ---


@check("access", "program", "the program has a token, and is known by its person")
def program_token(bench: Bench) -> str:
    """Fetch a token with the program's key, and use it."""
    caller = bench.bank.do(api.session())
    same(caller.kind, "machine")
    return f"person {caller.person}, operator {caller.operator}, {' '.join(sorted(caller.scopes))}"


@check("access", "other-key", "no token for the program's id with another key: invalid_client")
def other_key(bench: Bench) -> str:
    """Ask for a token with a key that is not registered."""
    with bench.client(Credentials(bench.tested.credentials.client, SigningKey.generate())) as bank:
        try:
            bank.do(api.session())
        except NotAuthenticated as problem:
            return same(f"{problem.status} {problem.code}", "401 invalid_client")
    raise Differs("a stranger has a token")


@check("access", "wallets", "the program sees both wallets, and their keys are the given ones")
def wallets(bench: Bench) -> str:
    """Read the wallets, their keys and key epochs."""
    bench.before = bench.bank.do(api.wallet(bench.tested.payer.id)).balance_minor
    bench.payer, bench.payee = (bench.bank.do(api.payer(each)) for each in (bench.tested.payer, bench.tested.payee))
    for each in (bench.tested.payer, bench.tested.payee):
        key = bench.bank.do(api.keys(each.id)).key
        if key != str(each.key.public):
            raise Differs(f"wallet {ids.format(each.id)} has the key {key or 'none'}, the file {each.key.public}")
    return f"key epochs {bench.payer.key_epoch} and {bench.payee.key_epoch}, ledger {bench.payer.ledger_id.hex()}"


@check("clock", "slow", "a clock that is a minute slow: the login works with the server's nonce")
def slow(bench: Bench) -> str:
    """Log in with a clock that is wrong by a minute."""
    with bench.client(wrong_ns=-MINUTE_NS) as bank:
        return bank.do(api.session()).kind


@check("clock", "fast", "a clock that is a minute fast: the login works with the server's nonce")
def fast(bench: Bench) -> str:
    """Log in with a clock that is wrong by a minute."""
    with bench.client(wrong_ns=MINUTE_NS) as bank:
        return bank.do(api.session()).kind


# --- signatures ---


@check("signatures", "good", f"a payment of {PAID_MINOR} minor units, signed with the wallet's key, is made")
def good(bench: Bench) -> str:
    """Make the payment that later checks use."""
    payer, _ = bench.wallets()
    bench.payment = bench.pay()
    bench.paid = bench.bank.do(api.signed(payer, bench.payment))
    same("made before" if bench.paid.is_repeated else "made now", "made now")
    return f"frame {bench.paid.frame}"


@check("signatures", "wrong-key", "another key: 422 SIGNATURE_INVALID")
def wrong_key(bench: Bench) -> str:
    """Sign with a key of the same kind that is not the wallet's."""
    payer, _ = bench.wallets()
    kind = "ed25519" if payer.key.public.flags == ED25519 else "p256"
    while (stranger := SigningKey.generate(kind)).public.flags != payer.key.public.flags:
        pass  # half of the keys on P-256 have the other sign
    return refused(bench, bench.pay(), _changed(payer, key=stranger), "SIGNATURE_INVALID")


@check("signatures", "wrong-epoch", "another key epoch: 422 KEY_EPOCH_DIFFERS")
def wrong_epoch(bench: Bench) -> str:
    """Sign for the next key epoch."""
    payer, _ = bench.wallets()
    return refused(bench, bench.pay(), _changed(payer, key_epoch=payer.key_epoch + 1), "KEY_EPOCH_DIFFERS")


@check("signatures", "stale", "a signature that is no longer valid: 422 SIGNATURE_EXPIRED")
def stale(bench: Bench) -> str:
    """Sign with an end in 1970."""
    payer, _ = bench.wallets()
    return refused(bench, bench.pay(), payer, "SIGNATURE_EXPIRED", valid_ns=1 - RealClock().now_ns())


@check("signatures", "other-ledger", "a signature for another ledger: 422 SIGNATURE_INVALID")
def other_ledger(bench: Bench) -> str:
    """Sign for the ledger with the id 0."""
    payer, _ = bench.wallets()
    return refused(bench, bench.pay(), _changed(payer, ledger_id=bytes(16)), "SIGNATURE_INVALID")


def _changed(payer: Payer, **changes: object) -> Payer:
    members = {name: getattr(payer, name) for name in ("account", "key", "currency", "key_epoch", "ledger_id")}
    return Payer(**members | changes)


# --- repetition ---


@check("repetition", "same-id", "the same payment again: 200 with the first frame, and paid once")
def same_id(bench: Bench) -> str:
    """Repeat a payment as after a lost answer: other signature, same record."""
    payer, _ = bench.wallets()
    paid, payment = bench.made()
    again = bench.bank.do(api.signed(payer, payment))
    same(f"frame {again.frame}, {'repeated' if again.is_repeated else 'made'}", f"frame {paid.frame}, repeated")
    balance = bench.bank.do(api.wallet(payer.account)).balance_minor
    return same(f"{bench.before - balance} minor units paid", f"{PAID_MINOR} minor units paid")


@check("repetition", "result", "the result of an id can be read: PAID")
def result(bench: Bench) -> str:
    """Ask for the result of the payment, as a program that lost its answer may."""
    paid, _ = bench.made()
    return same(bench.bank.do(api.result_of(paid.id)).result, "PAID")


@check("repetition", "other-content", "other content under the same id: 409")
def other_content(bench: Bench) -> str:
    """Pay another amount under the id of the payment."""
    payer, _ = bench.wallets()
    paid, _ = bench.made()
    try:
        bench.bank.do(api.signed(payer, bench.pay(PAID_MINOR + 1, id=ids.parse(paid.id))))
    except IdConflict as problem:
        return same(str(problem.status), "409")
    raise Differs("two payments have one id")


@check("repetition", "refused-id", "a refused payment again: refused again, with the same code")
def refused_id(bench: Bench) -> str:
    """Pay more than the wallet has, twice under one id."""
    payer, _ = bench.wallets()
    record, codes = bench.pay(bench.before + 1), []
    for _ in range(2):
        try:
            bench.bank.do(api.signed(payer, record))
        except Problem as problem:
            codes.append(f"{problem.status} {problem.code}")
    same(str(len(codes)), "2")
    return same(codes[1], codes[0])


# --- refunds ---


@check("refunds", "part", "a part of the payment is returned, signed by the payee's key")
def part(bench: Bench) -> str:
    """Refund 1 minor unit, twice under one id."""
    _, payee = bench.wallets()
    paid, _ = bench.made()
    refund = api.signed(payee, operations.refund(new_id(), original=ids.parse(paid.id), amount=1))
    first, second = bench.bank.do(refund), bench.bank.do(refund)
    return same(f"frame {second.frame}, repeated {second.is_repeated}", f"frame {first.frame}, repeated True")


@check("refunds", "too-much", "more than is left of the payment: 422 EXCEEDS_REFUNDABLE")
def too_much(bench: Bench) -> str:
    """Refund the whole payment after a part of it was returned."""
    _, payee = bench.wallets()
    paid, _ = bench.made()
    record = operations.refund(new_id(), original=ids.parse(paid.id), amount=PAID_MINOR)
    return refused(bench, record, payee, "EXCEEDS_REFUNDABLE")


@check("refunds", "rest", "the rest is returned; the payer has the balance of the beginning")
def rest(bench: Bench) -> str:
    """Refund the rest."""
    payer, payee = bench.wallets()
    paid, _ = bench.made()
    bench.bank.do(api.signed(payee, operations.refund(new_id(), original=ids.parse(paid.id), amount=PAID_MINOR - 1)))
    balance = bench.bank.do(api.wallet(payer.account)).balance_minor
    return same(f"{bench.before - balance} minor units missing", "0 minor units missing")
