"""The command line: `sycee`. One file per command group, imported only when its command is called.

Exit codes: 0 done, 1 refused, 2 usage, 3 integrity, 4 unavailable, 130 interrupted.
stdout has data, stderr has messages: results go to stdout; progress, `note:`, `error:` and `hint:` go to stderr.
"""

from __future__ import annotations

from sycee.cli import early_interrupt  # isort: split

import errno
import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from cyclopts import App, CycloptsError, Group, Parameter, UnknownCommandError

from sycee.cli import terminal, usage_errors
from sycee.cli.parameters import UnfitValue, convert
from sycee.cli.terminal import console
from sycee.core.errors import SyceeError, UnavailableError, UsageError
from sycee.core.terminal_text import printable

EXIT_INTERRUPTED: Final = 130  # 128 + SIGINT, as in shells
GARBAGE_THRESHOLDS: Final = (50_000, 50, 50)  # Python's collect 463 times while the package `bank` is imported

# Commands in the order of the help. They are imported when called, so `sycee --help` imports neither numba nor NumPy;
# for the same reason their help is repeated here.
COMMANDS: Final = {
    "pilot": ("pilot:app", "Replay a historic pilot, end to end, on a durable ledger."),
    "verify": ("verify:verify", "Reread a journal and recompute every balance and every purse from its operations."),
    "draw": ("draw:app", "Check a programme file, or a published draw with every winner."),
    "simulate": ("simulate:simulate", "Run random histories with power cuts and damaged disks against a naive twin."),
    "snapshot": ("snapshot:snapshot", "Write a snapshot of a ledger's state, which makes its next start faster."),
    "restore": ("restore:restore", "Restore a ledger from a copy of its journal into a new folder."),
    "checkpoint": ("checkpoint:app", "Sign the position of a ledger, and check a checkpoint's signature."),
    "key": ("key:app", "Generate signing keys, and set the keys of accounts."),
    "statement": ("statement:statement", "Show the money that an account received and paid."),
    "export": ("export:export", "Export a ledger's history to Parquet files by day."),
    "query": ("query:query", "Query an exported ledger in SQL."),
    "compliance": ("compliance:app", "Check declared facts under several regimes."),
    # A bank: its founding and settings.
    "init": ("init:init", "Found a bank: its ledger, its database, its key files and the duties of its first persons."),
    "config": ("config:app", "Show the settings of a bank."),
    "clock": ("clock:app", "Set the clock of a rehearsal."),
    # People and proposals.
    "officer": ("officer:app", "Appoint officers and other staff, and dismiss them."),
    "institution": ("institution:app", "Enter institutions, and decide their due diligence."),
    "proposal": ("proposal:app", "Show, sign and withdraw actions that several persons sign."),
    # Access over HTTP.
    "client": ("client:app", "Register programs that act over HTTP for a person, and end their access."),
    "invite": ("invite:app", "Give persons a code for a login, and end logins."),
    # Personal data.
    "person": ("person:app", "Read, log and delete personal data; lost phones, deaths, court orders."),
    # Issuance.
    "operator": ("operator:app", "Let operators join and leave, and list them."),
    "reserves": ("reserves:app", "Record reserves, and set limits of minting and rules for reserves."),
    "mint": ("mint:mint", "Propose to issue money to an operator against its reserves."),
    "redeem": ("mint:redeem", "Propose to take money back from an operator and return its reserves."),
    "funding": ("funding:app", "Move money between wallets and their holders' banks."),
    "supply": ("supply:supply", "Show the money in circulation, its reserves, and digests to compare a copy with."),
    "clearing": ("clearing:app", "Settle payments between banks."),
    # Wallets and payments.
    "wallet": ("wallet:app", "Open, show, change and close wallets, and their aliases."),
    "merchant": ("merchant:app", "Open accounts of merchants; show their QR codes, day reports, orders and sweeps."),
    "pay": ("pay:pay", "Pay from a wallet."),
    "bulk": ("bulk:app", "Pay many payees from one account, by a file of rows."),
    "request": ("request:app", "Ask for a payment, and pay or decline such a request."),
    "hold": ("hold:app", "Hold money of a wallet for a payee, and take or release it."),
    "refund": ("pay:refund", "Refund a part, or all, of the payment of an order or of a hold."),
    # Programmes.
    "drop": ("drop:app", "Run a programme: draft, draw, terms, drop, claims, expiry and close."),
    "voucher": ("voucher:app", "Reserve, activate, redeem and cancel vouchers of a programme."),
    "sandbox": ("sandbox:app", "Build synthetic cities, and try programmes on them."),
    # The day, cases, backup.
    "day": ("day:app", "Close business days, countersign their packs, and check packs."),
    "case": ("case:app", "Open cases, take steps, and follow claims."),
    "backup": (
        "backup:backup",
        "Write an encrypted backup: the journal up to one frame, then the database, settings and packs.",
    ),
    # The server.
    "demo": ("demo:demo", "Start a server with a small seeded economy on this machine, and print what can be tried."),
    "serve": ("serve:serve", "Serve a bank over HTTP until Ctrl-C."),
    "load": ("load:load", "Offer signed payments to a server at a stated rate, and show the latencies."),
    "conformance": (
        "conformance:conformance",
        "Check an integration against a running server: signatures, repetition, refunds, clocks and webhooks.",
    ),
}

# Headings of the help, by the first command below each.
HEADINGS: Final = {
    "pilot": "Pilots, draws and ledgers",
    "init": "A bank and its people",
    "operator": "Issuance",
    "wallet": "Wallets and payments",
    "drop": "Programmes",
    "day": "Days, cases and backups",
    "demo": "Server",
}


def _version() -> str:
    import sycee

    return f"sycee {sycee.__version__}"


app = App(
    name="sycee",
    # The second paragraph is no epilogue, which each command would inherit.
    help="Run a digital currency: mint it, drop it on a city, pay with it, and account for every cent.\n\n"
    "With --server URL many commands use a server instead of a folder.",
    version=_version,
    help_flags=["--help", "-h"],
    version_flags=["--version"],
    default_parameter=Parameter(converter=convert),
    suppress_keyboard_interrupt=False,
)
_group = Group("Options", sort_key=len(COMMANDS))
for _option in (*app.help_flags, *app.version_flags):
    app[_option].group = (_group,)
for _number, (_name, (_target, _help)) in enumerate(COMMANDS.items()):
    if _name in HEADINGS:
        _group = Group(HEADINGS[_name], sort_key=_number)
    app.command(f"sycee.cli.{_target}", name=_name, help=_help, group=_group, sort_key=_number)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. `arguments` default to those of the process."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    try:
        terminal.prepare_streams()
        terminal.mark_output("")
        with _rare_collections():
            code = _run(tokens)
        if code == EXIT_INTERRUPTED:
            terminal.discard_stdout()  # its reader may be stalled: a flush would wait until the next Ctrl-C
        sys.stdout.flush()
    except KeyboardInterrupt:
        terminal.discard_stdout()
        return _report_interrupt("; the output is incomplete")
    except BrokenPipeError:  # the reader, such as `head`, has read enough
        terminal.discard_stdout()
        return 0
    except UnavailableError as error:
        return _report(error)
    except OSError as error:
        if not terminal.stdout_fails():
            raise
        terminal.discard_stdout()
        return _report(UnavailableError(f"stdout cannot be written: {error.strerror}", hint=_hint_of(error)))
    return code


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Collect cycles rarely in a block: with Python's thresholds it takes a fifth of the start of most commands."""
    before = gc.get_threshold()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _run(tokens: list[str]) -> int:
    try:
        result = _chosen(tokens)(
            tokens,
            console=console(),
            error_console=console(stderr=True),
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
    except UnfitValue as error:
        return _report(UsageError(error.sentence(), hint=error.hint))
    except CycloptsError as error:
        return _report(UsageError(_one_line(error, tokens), hint=_usage_hint(tokens)))
    except SyceeError as error:
        return _report(error)
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.filename is None:
            raise
        return _report(UnavailableError(f"{error.filename}: {error.strerror}", hint=_hint_of(error)))
    except KeyboardInterrupt as interrupt:
        # A command that had finished its work raises KeyboardInterrupt with a message.
        left = f"; {interrupt.args[0]}" if interrupt.args else _after_interrupt(tokens)
        return _report_interrupt(left)
    return result if isinstance(result, int) else 0


def _chosen(tokens: list[str]) -> App:
    """Return the commands for these words: those over a server if an option names one."""
    if any(token.partition("=")[0] == "--server" for token in tokens):
        from sycee.cli import remote

        return remote.app
    return app


def _report_interrupt(left: str) -> int:
    """Print what an interrupted command has left, and return its exit code."""
    sys.stderr.write(f"\ninterrupted{left}\n")
    return EXIT_INTERRUPTED


def _after_interrupt(tokens: list[str]) -> str:
    """Return what an interrupted command has left: a pilot's journal is in the folder of --data, if given."""
    if tokens[:1] == ["restore"]:
        return "; nothing was restored"
    if tokens[:2] == ["bulk", "pay"]:
        return ": whole batches may be paid; the same command pays the rest"
    if tokens[:2] == ["drop", "try"]:
        return ": the trial is not complete; delete its folder before the next one"
    if tokens[:2] == ["drop", "allot"]:
        return ": a part of the members may be added; the same command continues"
    if tokens[:2] == ["sandbox", "run"] and any(each.split("=")[0] == "--ledger" for each in tokens):
        return ": the ledger is whole; the same command continues from the last whole day"
    if tokens[:1] != ["pilot"]:
        return "; nothing was changed"
    if any(each.split("=")[0] == "--data" for each in tokens):
        return ": the journal is whole; the same command continues from here"
    return ": the journal was whole; give --data to keep it and continue from there"


def _hint_of(error: BaseException | None) -> str | None:
    """Return the next step after an error of the operating system."""
    if not isinstance(error, OSError):
        return None
    if error.errno == errno.EROFS:
        return "the file system is read-only: name a path on another one"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk or the quota is full: free some space, or name a path on another disk"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "check the permissions of the path, or name a path that you may use"
    return "check the path"


def _report(error: SyceeError) -> int:
    """Print an error with its hint, escape unprintable characters, and return its exit code."""
    hint = error.hint or _hint_of(error.__cause__)
    lines = [*f"error: {error.message}".split("\n"), *([f"hint: {hint}"] if hint else [])]
    sys.stderr.write("".join(f"{printable(line)}\n" for line in lines))
    return error.exit_code


def _one_line(error: CycloptsError, tokens: list[str]) -> str:
    if isinstance(error, UnknownCommandError) and error.unused_tokens:
        why = _no_server(tokens)
        if why is not None:
            return why
        # cyclopts would import every command for its own message.
        return usage_errors.unknown_command(error.unused_tokens[0], error.app or app)
    return usage_errors.sentence(error)


def _no_server(tokens: list[str]) -> str | None:
    """Return why a command cannot be performed by a server, if the words ask for that."""
    from sycee.cli import without_server

    words = _words(tokens)
    why = without_server.reason(words) if _chosen(tokens) is not app else None
    return f"sycee {' '.join(words)} has no --server: it {why}" if why is not None else None


def _usage_hint(tokens: list[str]) -> str:
    # Name the command up to the first word that is not a command: a mistyped one has no help.
    return " ".join(["sycee", *_words(tokens), "--help"]) + " lists commands and options"


def _words(tokens: list[str]) -> list[str]:
    """Return the words that name a command on a folder, up to the first other word."""
    words: list[str] = []
    command: App = app
    for token in tokens:
        if token.startswith("-") or token not in list(command):
            break
        command = command[token]
        words.append(token)
    return words


early_interrupt.release()
