"""Start of a demo: seed its folder once, serve it, and print what can be tried."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from sycee.bank.bank import Bank
from sycee.bank.phone_messages import Delivery, OutboxFolder
from sycee.core import ids
from sycee.core.errors import UnavailableError, UsageError
from sycee.demo.economy import seed_economy
from sycee.demo.folder import OUTBOX, Demo
from sycee.demo.people import CITIZENS, FUNDED, OPERATORS, SHOPS, People
from sycee.load.wallets import FILE_NAME, SyntheticWallet, write_synthetic_wallets
from sycee.server import main
from sycee.server.auth.registers import Registers

LOGINS: Final = ("ann", "north", "tea-house", "audrey")  # roles that are printed with a code for a login


def run_demo(
    folder: Path,
    *,
    seed: int,
    port: int,
    show: Callable[[str], None],
    status: Callable[[str], None] = lambda _: None,
) -> None:
    """Seed the folder unless it has a demo, serve it on localhost, and print the demo; return after a signal.

    `seed`: of a new demo; 0 takes the demo of any seed in the folder. Raises UsageError for a folder with something
    else, and for a demo of another seed; UnavailableError if the port is in use.
    """
    address, origin = f"127.0.0.1:{port}", f"http://localhost:{port}"
    _require_free(port)
    demo = Demo.load(folder)
    if demo is None:
        status(f"founding a bank with {CITIZENS:,} citizens")
        people = People(seed)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            demo = seed_economy(folder, people)
        except BaseException:  # Ctrl-C, too: the folder was empty before
            shutil.rmtree(folder, ignore_errors=True)
            raise
    demo.require_seed(folder, seed)
    if not (folder / "keys" / FILE_NAME).exists():
        write_load(folder, demo, People(demo.seed))
    codes: dict[str, str] = {}
    main.serve_folder(
        folder / "bank",
        options={"http_address": address, "http_origin": origin},
        on_open=lambda bank: codes.update(_invite(bank, demo, folder)),
        on_ready=lambda: show("\n".join(_screen(demo, folder, origin, codes))),
    )


def _require_free(port: int) -> None:
    """Raise UnavailableError if a server listens on the port: before seconds of work."""
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise UnavailableError(
                f"another process listens on port {port}", hint=f"choose another one: --port {port + 1}"
            )


def _invite(bank: Bank, demo: Demo, folder: Path) -> dict[str, str]:
    """Return fresh codes for logins, by name: those of an earlier start may be used or expired.

    Persons with a key get the whole code; a citizen gets the second half by a message, here in the outbox folder. Who
    has a login gets no code: it would be refused.
    """
    invitations = Registers(bank).invitations
    citizen, codes = demo.wallets[0], dict[str, str]()
    for name in LOGINS:
        with suppress(UsageError):
            codes[name] = invitations.issue_to_holder(ids.parse(demo.role(name).person)).code
    with suppress(UsageError):
        north = ids.parse(demo.role("north").person)
        first = invitations.issue(ids.parse(citizen.holder), by=north).first
        codes[citizen.name] = f"{first}-{_newest_secret(bank)}"
    return codes


def _newest_secret(bank: Bank) -> str:
    """Deliver the messages that wait, and return the newest secret in the outbox folder."""
    folder = bank.config.path("message_folder")
    Delivery(bank, OutboxFolder(folder)).notices()
    messages = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    return str([each["secret"] for each in messages if "secret" in each][-1])


def write_load(folder: Path, demo: Demo, people: People) -> None:
    """Write the citizens' wallets with their keys for `sycee load`."""
    rows = [
        SyntheticWallet(
            account=each.account, key_epoch=1, curve="Ed25519", seed=people.key_seed(Path(each.key).stem).hex()
        )
        for each in demo.wallets
    ]
    write_synthetic_wallets(folder / "keys" / FILE_NAME, bytes.fromhex(demo.ledger_id), demo.currency, rows)


def _screen(demo: Demo, folder: Path, origin: str, codes: dict[str, str]) -> Iterator[str]:
    """Yield the lines that a start prints."""
    keys = folder / "keys"
    operators = " and ".join(name for name, _ in OPERATORS)
    yield f"DEMO with synthetic keys: everybody who knows seed {demo.seed} can sign. No real money, invented people."
    yield f"{CITIZENS:,} citizens, {FUNDED} of them with money, {len(SHOPS)} shops, {operators}: {folder}"
    yield ""
    yield f"  {origin}/           start page"
    yield f"  {origin}/supply     the money in circulation, for everybody"
    yield f"  {origin}/login      passkeys: set one up with a whole code below"
    yield f"  {origin}/reference  all operations of the API"
    yield ""
    yield f"  {'role':14} {'who':22} {'signs with':22} {'program (client id)':38} code for a login"
    for each in demo.roles:
        yield (
            f"  {each.name:14} {f'{each.duty} {each.of}'.strip():22} {each.key:22} {each.client:38} "
            f"{codes.get(each.name, '')}"
        ).rstrip()
    for wallet in demo.wallets[:2]:
        name = wallet.name
        yield f"  {name:14} {'citizen ' + wallet.phone:22} {wallet.key:22} {'':38} {codes.get(name, '')}".rstrip()
    yield ""
    yield "A code has two halves. Who holds a key of a duty gets both. A citizen gets the first one from staff, and the"
    yield f"second one by phone, here as a file in {folder / OUTBOX}. Who has a login gets no code."
    yield f"Keys are in {keys}; the program of a role has the key ROLE-program.pem. Try in another terminal:"
    yield ""
    north, payer, shop = demo.role("north"), demo.wallets[0], demo.shops[0]
    program = f"--client {north.client} --client-key {keys / north.client_key}"
    yield f"  curl {origin}/v1/supply"
    yield f"  sycee supply --server {origin}"
    yield f"  sycee pay {payer.account} {shop.account} 1.50 --server {origin} --key {keys / payer.key}"
    yield f"  sycee wallet show {payer.account} --server {origin} {program}"
    yield f"  sycee load {origin} --keys {keys} --rate 100 --seconds 3"
    yield f"  python examples/funding_operator.py {origin} {folder}"
    yield ""
    yield f"Open: request {demo.request}, 40.00 to the {demo.shops[0].name}"
    yield f"Open: proposal {demo.proposal}, a mint that Bob has not signed yet"
    yield "Ctrl-C stops."
