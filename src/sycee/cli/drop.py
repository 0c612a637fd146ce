"""`sycee drop`: a programme in a bank's data folder, from a file to the closing of each occurrence."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from cyclopts import App, Group, Parameter

from sycee.cli import drop_claims, drop_registration, drop_report, drop_shops
from sycee.cli.bank_options import BankFolder, KeyFiles, local_time, open_bank, positive_amount
from sycee.cli.lazy import ids
from sycee.cli.mint import Amount
from sycee.cli.operator import Operator, operator_number
from sycee.cli.parameters import AsJson, Between
from sycee.cli.proposing import maker_of, sign_and_show, signing_keys
from sycee.cli.terminal import mark_output, print_list, print_table, progress, show, show_json, table
from sycee.core import money
from sycee.core.errors import UsageError
from sycee.core.words import quantity

if TYPE_CHECKING:
    from sycee.bank.bank import Bank
    from sycee.programmes.dry_run import DryRun
    from sycee.programmes.stored import Occurrence, StoredProgramme

app = App(name="drop", help="Run a programme: draft, draw, terms, drop, claims, expiry and close.")

Name: TypeAlias = Annotated[str, Parameter(help="Name of the programme.")]
Number: TypeAlias = Annotated[int, Parameter(name="--occurrence", help="Number of the occurrence.")]
FunderName: TypeAlias = Annotated[str, Parameter(help="Name or account of the funder.")]
Reason: TypeAlias = Annotated[str, Parameter(help="Why, in a sentence without personal data.")]


@app.command(name="try")
def try_(
    file: Annotated[str, Parameter(help="A programme file, such as spring.toml, or a shipped pilot.")],
    people: Annotated[Path, Parameter(help="CSV file of invented people: document, phone, bank, stratum.")], /, *,
    folder: Annotated[Path, Parameter(help="New folder for the trial's bank, keys and page.")],
    shops: Annotated[
        Path | None, Parameter(help="CSV file of shops: name, sector, group, bank, turnover. Invented without it.")
    ] = None,
    seed: Annotated[int, Parameter(help="Seed of all choices.", validator=Between("--seed", 0, 2**63 - 1, 1))] = 1,
    json_: AsJson = False,
) -> int:  # fmt: skip
    """Run a programme from nothing to its close, for invented people: a rehearsal bank, all keys, a moved clock.

    Each step is the call that a real bank makes. People decide as those of the sandbox.
    """
    from sycee.core.extras import extra
    from sycee.core.marks import MARK
    from sycee.report import page
    from sycee.sandbox.rehearsal.page import rehearsal_page
    from sycee.sandbox.rehearsal.trial import BANK, PAGE, run_trial

    with extra("pilot"):  # the page is drawn at the end
        import matplotlib as mpl  # noqa: F401
    lines: list[str] = []
    with progress("trying", "steps") as report:
        tell = lines.append if json_ else show
        mark_output(MARK)
        trial = run_trial(file, people, folder, seed=seed, shops=shops, tell=tell, step=report)
    page.write(rehearsal_page(trial), folder / PAGE)
    figures, happened, currency = trial.figures, trial.happened, trial.programme.currency
    amounts = {
        "supply before": trial.supply_before_minor,
        "supply after": trial.supply_after_minor,
        "dropped": figures.dropped_minor,
        "spent": figures.spent_minor,
        "own money beside it": trial.results.own_minor,
        "returned": figures.returned_minor,
        "funder at the end": trial.funder_minor,
    }
    counts = {
        "rows": trial.rows,
        "registered": trial.registered,
        "entries": trial.entries,
        "winners": figures.members,
        "claimed": figures.claimed,
        "payments": happened.count("payment"),
        "refunds": happened.count("refund"),
        "shops": sum(bool(each.group) for each in trial.shops),
    }
    refusals = [{"what": what, "code": code, "number": number} for (what, code), number in happened.refused().items()]
    if json_:
        members = {f"{word.replace(' ', '_')}_minor": minor for word, minor in amounts.items()}
        show_json(
            {"steps": lines, **counts, **members, "refused": trial.refused, "refusals": refusals,
             "seed": trial.seed, "digest": happened.digest(), "problems": list(trial.problems)}
        )  # fmt: skip
        return 3 if trial.problems else 0
    made = table("", "figure", numbers=("figure",), ruled=False)
    for word, count in counts.items():
        made.add_row(word, f"{count:,}")
    for word, minor in amounts.items():
        made.add_row(word, money.with_code(minor, currency))
    print_table(made)
    show(*(f"refused: {each['number']:,} × {each['what']}: {each['code']}" for each in refusals))
    show(f"seed {trial.seed}, digest {happened.digest()}")
    show(*trial.problems or ("the books of the bank agree with its ledger",))
    bank = folder / BANK
    show(f"page: {folder / PAGE}", f"bank: {bank}")
    show("next:", *(f"  sycee {each}" for each in next_commands(bank, trial.programme.name, trial.files)))
    return 3 if trial.problems else 0


def next_commands(bank: Path, name: str, files: Path) -> list[str]:
    """Return the commands to try on the bank of a trial, without `sycee`."""
    return [
        f"drop show {bank} {name}",
        f"drop shops {bank} {name}",
        f"drop situation {bank} {name}",
        f"drop winners {bank} {name}",
        f"drop report {bank} {name} {bank.parent / 'report'}",
        f"draw verify {files}",
        f"verify {bank} --authority",
    ]


# --- funders ---


@app.command
def funder(
    folder: BankFolder, operator: Operator, name: Annotated[str, Parameter(help="Name of the funder.")], /, *,
    key: KeyFiles = None,
) -> int:  # fmt: skip
    """Open an account that pays programmes, at an operator. The operator signs."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        number, who = operator_number(bank, operator), maker_of(bank, keys)
        made = bank.funders.open(name, operator=number, signers=bank.signers(*keys), who=who)
        show(f"funder {name} at operator {number}: account {ids.format(made.account)}")
    return 0


@app.command
def fund(
    folder: BankFolder, funder: FunderName, amount: Amount, /, *,
    out: Annotated[bool, Parameter(negative="", help="Move the money back to the vault instead.")] = False,
    key: KeyFiles = None,
) -> int:  # fmt: skip
    """Move money from the vault of the funder's operator to the funder. The operator signs."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        found, minor, who = bank.funders.find(funder), positive_amount(bank, amount), maker_of(bank, keys)
        move = bank.funders.pay_out if out else bank.funders.pay_in
        move(found.account, minor, signers=bank.signers(*keys), who=who).require_created("nothing was moved")
        currency = bank.config.currency
        show(f"{found.name} has {money.with_code(bank.stores.ledger.balance(found.account), currency)}")
    return 0


@app.command
def funders(folder: BankFolder, /, *, json_: AsJson = False) -> int:
    """List the accounts that pay programmes, with their balances."""
    with open_bank(folder) as bank:
        rows = [
            {
                "name": each.name,
                "operator": each.operator,
                "state": each.state,
                "balance": money.format(bank.stores.ledger.balance(each.account), bank.config.currency)
                if each.state == "open"
                else "",
                "account": ids.format(each.account),
            }
            for each in bank.funders.list()
        ]
    return print_list("funders", rows, numbers=("balance",), as_json=json_)


# --- before the draw ---


@app.command
def draft(
    folder: BankFolder,
    file: Annotated[str, Parameter(help="A programme file, such as spring.toml, or a shipped pilot.")], /, *,
    funder: Annotated[str, Parameter(help="Name or account of the funder.")],
    operator: Annotated[
        list[str] | None,
        Parameter(negative="", help="NAME=NUMBER: an operator of the file, and its number in this bank."),
    ] = None,
    key: KeyFiles = None,
) -> int:  # fmt: skip
    """Store a programme file, or replace it before its registration opens.

    Operators of the file are found by their title or name. An officer or the funder's operator signs nothing, but must
    be the person of --key.
    """
    from sycee import data

    keys = signing_keys(key)
    text = data.file("pilots", file, "programme")[1].decode("utf-8", "replace")
    with open_bank(folder) as bank:
        made = bank.programmes.draft(
            text, funder=bank.funders.find(funder).account, maker=maker_of(bank, keys), operators=_numbers(operator)
        )
        show(f"{made.name} is stored as {made.state}: SHA-256 {made.digest}")
        show(f"next: {_next(bank.programmes.occurrence(made.name))}")
    return 0


@app.command(name="dry-run")
def dry_run(folder: BankFolder, name: Name, /, *, occurrence: Number = 0, json_: AsJson = False) -> int:
    """Apply all further steps to a copy of the ledger's state, and show what they would do. Nothing is written."""
    with open_bank(folder) as bank:
        result = bank.programmes.dry_run(name, occurrence)
        if json_:
            show_json(dry_run_json(result))
        else:
            show_dry_run(bank, result)
    return 0 if result.ok else 1


@app.command(name="open")
def open_registration(folder: BankFolder, name: Name, /, *, occurrence: Number = 0, key: KeyFiles = None) -> int:
    """Open the registration of a draft."""
    return _step(folder, name, key, lambda bank, who: bank.programmes.open_registration(name, occurrence, who=who))


@app.command
def freeze(folder: BankFolder, name: Name, /, *, occurrence: Number = 0, key: KeyFiles = None) -> int:
    """Freeze the list after registration closed: write announcement and entries."""
    keys = signing_keys(key)
    with open_bank(folder) as bank, progress("freezing", "hashes") as report:
        found = bank.programmes.freeze(name, occurrence, who=maker_of(bank, keys), progress=report)
        show(
            f"{found.title} is frozen: {quantity(found.entries, 'entry', 'entries')}",
            f"announcement: SHA-256 {found.announcement}",
        )
        show(f"files: {bank.programmes.files_of(found)}", f"next: {_next(found)}")
    return 0


@app.command
def publish(folder: BankFolder, name: Name, /, *, occurrence: Number = 0, key: KeyFiles = None) -> int:
    """Record that announcement and list are public, before the beacon is due."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        found = bank.programmes.publish(name, occurrence, who=maker_of(bank, keys))
        show(f"{found.title} is published: announcement SHA-256 {found.announcement}")
    return 0


@app.command
def beacon(
    folder: BankFolder, name: Name, value: Annotated[str, Parameter(help="The value: 64 hexadecimal digits.")], /, *,
    occurrence: Number = 0, key: KeyFiles = None,
) -> int:  # fmt: skip
    """Bring the beacon's value, as you read it at its source. Two persons bring the same; nothing is fetched."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        brought = bank.programmes.bring_beacon(name, occurrence, value=beacon_value(value), who=maker_of(bank, keys))
        counts = {each: list(brought.values()).count(each) for each in sorted(set(brought.values()))}
        show(*(f"{each}: {quantity(count, 'person')}" for each, count in counts.items()))
    return 0


@app.command
def draw(folder: BankFolder, name: Name, /, *, occurrence: Number = 0, key: KeyFiles = None) -> int:
    """Draw the winners, once two persons brought the same value of the beacon."""
    keys = signing_keys(key)
    with open_bank(folder) as bank, progress("drawing", "hashes") as report:
        found = bank.programmes.draw(name, occurrence, who=maker_of(bank, keys), progress=report)
        entries = quantity(found.entries, "entry", "entries")
        show(f"{found.title} is drawn: {quantity(found.members, 'winner')} among {entries}")
        show(f"files: {bank.programmes.files_of(found)}", f"next: {_next(found)}")
    return 0


# --- money ---


@app.command
def terms(folder: BankFolder, name: Name, /, *, occurrence: Number = 0, key: KeyFiles = None) -> int:
    """Verify the draw, and propose its terms: budget, cohort and announcement. Two officers sign."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        proposal = bank.programmes.propose_terms(name, occurrence, maker=maker_of(bank, keys))
        return sign_and_show(bank, proposal, keys)


@app.command
def allot(folder: BankFolder, name: Name, /, *, occurrence: Number = 0, key: KeyFiles = None) -> int:
    """Add the members of the approved cohort, and seal it. After an interruption the same command continues."""
    keys = signing_keys(key)
    with open_bank(folder) as bank, progress("adding", "members") as report:
        who, signers = maker_of(bank, keys), bank.signers(*keys)
        found = bank.programmes.allot(name, occurrence, signers=signers, who=who, progress=report)
        show(
            f"{found.title} is allotted: {quantity(found.members, 'member')}, seal {found.cohort}",
            f"next: {_next(found)}",
        )
    return 0


@app.command
def drop(folder: BankFolder, name: Name, /, *, occurrence: Number = 0, key: KeyFiles = None) -> int:
    """Fill every packet of the sealed cohort. The funder's operator signs."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        found = bank.programmes.drop(name, occurrence, signers=bank.signers(*keys), who=maker_of(bank, keys))
        currency, minor, members = bank.config.currency, found.minor, found.members
        if zones := bank.programmes.zones(name, occurrence):
            filled = [each for each in zones if each.frame is not None]
            minor, members = sum(each.minor for each in filled), sum(each.members for each in filled)
        show(
            f"{found.title} is dropped: {money.with_code(minor, currency)} in "
            f"{quantity(members, 'packet')}, frame {found.dropped_frame:,}"
        )
        _show_zones(bank, found)
    return 0


@app.command
def widen(
    folder: BankFolder, name: Name, /, *,
    zone: Annotated[str, Parameter(help="The zone; without it the next one.")] = "", occurrence: Number = 0,
    key: KeyFiles = None,
) -> int:  # fmt: skip
    """Fill the packets of a later zone of the sealed cohort. The funder's operator signs."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        found = bank.programmes.widen(name, occurrence, zone, signers=bank.signers(*keys), who=maker_of(bank, keys))
        _show_zones(bank, found)
    return 0


@app.command
def halt(folder: BankFolder, name: Name, reason: Reason, /, *, key: KeyFiles = None) -> int:
    """Pause a programme: refuse its claims and next steps immediately. Claimed packets can still be spent."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        found = bank.programmes.halt(name, reason, who=maker_of(bank, keys))
    show(f"{name} is halted: {found.halt_reason}")
    return 0


@app.command
def block(folder: BankFolder, name: Name, /, *, key: KeyFiles = None) -> int:
    """Propose to block the debits of a halted programme's funder. An officer signs, too."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        return sign_and_show(bank, bank.programmes.propose_block(name, maker=maker_of(bank, keys)), keys)


@app.command
def resume(folder: BankFolder, name: Name, reason: Reason, /, *, key: KeyFiles = None) -> int:
    """Propose to end a halt, and the block of the funder if there is one. An officer signs, too."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        return sign_and_show(bank, bank.programmes.propose_resume(name, reason, maker=maker_of(bank, keys)), keys)


@app.command
def expire(folder: BankFolder, name: Name, /, *, occurrence: Number = 0) -> int:
    """Return the rest of every packet to the funder, from the expiry on. A job does the same."""
    with open_bank(folder) as bank:
        bank.programmes.expire(name, occurrence)
        _show_figures(bank, name, occurrence)
    return 0


@app.command
def close(folder: BankFolder, name: Name, /, *, occurrence: Number = 0, key: KeyFiles = None) -> int:
    """Close an expired occurrence."""
    return _step(folder, name, key, lambda bank, who: bank.programmes.close(name, occurrence, who=who))


@app.command
def cancel(folder: BankFolder, name: Name, /, *, occurrence: Number = 0, key: KeyFiles = None) -> int:
    """Cancel an occurrence before its drop. It cannot be begun again."""
    return _step(folder, name, key, lambda bank, who: bank.programmes.cancel(name, occurrence, who=who))


# --- reading ---


@app.command(name="show")
def show_programme(folder: BankFolder, name: Name, /, *, json_: AsJson = False) -> int:
    """Show a programme with its occurrences, their packets on the ledger, and the next step of each."""
    with open_bank(folder) as bank:
        stored = bank.programmes.get(name)
        rows = [occurrence_json(bank, each) for each in bank.programmes.occurrences(name)]
        if json_:
            show_json(programme_json(stored) | {"occurrences": rows})
            return 0
        halted = f", halted: {stored.halt_reason}" if stored.is_halted else ""
        show(f"{stored.definition.title} ({name}) is {stored.state}{halted}", f"file: SHA-256 {stored.digest}")
        for each in bank.programmes.occurrences(name):
            show(f"{each.title}, {each.date}: {each.state}; next: {_next(each)}")
            _show_figures(bank, name, each.occurrence)
    return 0


@app.command(name="list")
def list_(folder: BankFolder, /, *, json_: AsJson = False) -> int:
    """List the programmes of a bank, with the state of each occurrence."""
    with open_bank(folder) as bank:
        rows = [
            {
                "name": stored.name,
                "title": stored.definition.title,
                "state": "halted" if stored.is_halted else stored.state,
                "occurrences": " ".join(f"{each.occurrence}:{each.state}" for each in occurrences),
            }
            for stored in bank.programmes.list()
            for occurrences in [bank.programmes.occurrences(stored.name)]
        ]
    return print_list("programmes", rows, as_json=json_)


# --- shared ---


def show_dry_run(bank: Bank, result: DryRun) -> None:
    """Show a dry run: who gets how much, each step with its refusals, and the problems found."""
    currency = bank.config.currency

    amount = partial(money.with_code, currency=currency)
    people = "people who are not drawn yet" if result.is_invented else "winners"
    show(f"on the state after frame {result.frame:,}: {result.members:,} {people} get {amount(result.minor)}")
    for share in result.shares:
        show(f"  {share.count:,} x {amount(share.minor)}: {share.name}")
    made = table("step", "time", "records", "refused", "supply", "funder", numbers=("records", "supply", "funder"))
    made.add_row(
        "now", "", "", "", money.format(result.supply_minor, currency), money.format(result.funder_minor, currency)
    )
    for step in result.steps:
        refused = ", ".join(f"{count:,} {code}" for code, count in step.refused.items()) or "none"
        made.add_row(
            step.name,
            local_time(step.at_ns, bank.config.text("zone")),
            f"{step.records:,}",
            refused,
            money.format(step.supply_minor, currency),
            money.format(step.funder_minor, currency),
        )
    print_table(made)
    show(*(f"in the way: {problem}" for problem in result.problems))
    show("ready" if result.ok else "not ready")


def dry_run_json(result: DryRun) -> dict[str, Any]:
    """Return a dry run as JSON, without its members."""
    return {
        "ok": result.ok,
        "frame": result.frame,
        "invented": result.is_invented,
        "members": result.members,
        "minor": result.minor,
        "supply_minor": result.supply_minor,
        "funder_minor": result.funder_minor,
        "shares": [{"name": each.name, "count": each.count, "minor": each.minor} for each in result.shares],
        "steps": [
            {
                "name": each.name,
                "at_ns": each.at_ns,
                "records": each.records,
                "refused": dict(each.refused),
                "supply_minor": each.supply_minor,
                "funder_minor": each.funder_minor,
            }
            for each in result.steps
        ],
        "problems": list(result.problems),
    }


def programme_json(programme: StoredProgramme) -> dict[str, Any]:
    """Return a programme as JSON."""
    return {
        "name": programme.name,
        "title": programme.definition.title,
        "state": programme.state,
        "digest": programme.digest,
        "funder": ids.format(programme.funder),
        "operators": dict(programme.operators),
        "halted": programme.halt_reason if programme.is_halted else None,
    }


def occurrence_json(bank: Bank, occurrence: Occurrence) -> dict[str, Any]:
    """Return an occurrence with its figures as JSON."""
    figures = bank.programmes.figures(occurrence.programme, occurrence.occurrence)
    return {
        "occurrence": occurrence.occurrence,
        "date": occurrence.date,
        "state": occurrence.state,
        "next": _next(occurrence),
        "entries": occurrence.entries,
        "members": occurrence.members,
        "minor": occurrence.minor,
        "announcement": occurrence.announcement,
        "published": occurrence.published_ns is not None,
        "cohort": occurrence.cohort,
        "number": occurrence.number,
        "claimed": figures.claimed,
        "dropped_minor": figures.dropped_minor,
        "spent_minor": figures.spent_minor,
        "pending_minor": figures.pending_minor,
        "returned_minor": figures.returned_minor,
        "left_minor": figures.left_minor,
    }


def _step(folder: Path, name: str, key: KeyFiles, take: Any) -> int:
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        found: Occurrence = take(bank, maker_of(bank, keys))
        show(f"{found.title} is {found.state}", f"next: {_next(found)}")
    return 0


def _next(occurrence: Occurrence) -> str:
    from sycee.programmes.states import NEXT_STEPS

    return NEXT_STEPS[occurrence.state]


def _show_zones(bank: Bank, occurrence: Occurrence) -> None:
    currency = bank.config.currency
    for each in bank.programmes.zones(occurrence.programme, occurrence.occurrence):
        state = f"dropped, frame {each.frame:,}" if each.frame is not None else "next" if each.is_next else "later"
        packets, amount = quantity(each.members, "packet"), money.with_code(each.minor, currency)
        show(f"zone {each.name}: {packets}, {amount}, {state}")


def _show_figures(bank: Bank, name: str, occurrence: int) -> None:
    found, currency = bank.programmes.figures(name, occurrence), bank.config.currency
    if not found.dropped_minor:
        return
    rows = {
        "dropped": found.dropped_minor,
        "spent": found.spent_minor,
        "held": found.pending_minor,
        "returned": found.returned_minor,
        "left": found.left_minor,
    }
    made = table("packets", "", numbers=("",), ruled=False)
    made.add_row("claimed", f"{found.claimed:,} of {found.members:,}")
    for word, minor in rows.items():
        made.add_row(word, money.with_code(minor, currency))
    print_table(made)


def _numbers(texts: Sequence[str] | None) -> dict[str, int]:
    """Return the numbers of --operator by name."""
    found = {}
    for text in texts or ():
        name, _, number = text.partition("=")
        if not number.isdecimal():
            raise UsageError(f"--operator {text[:40]!r} is not NAME=NUMBER", hint="such as --operator bank-a=2")
        found[name] = int(number)
    return found


def beacon_value(text: str) -> bytes:
    """Return the bytes of a value. Raises UsageError for a text that is not hexadecimal."""
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise UsageError("the beacon's value is not hexadecimal", hint="copy its 64 digits from the source") from error


# Headings of the help, and the commands below each in the order of a programme's life.
STEPS: Final = {
    "Programmes": ("list", "show", "try"),
    "Draft": ("funder", "fund", "funders", "draft", "dry-run", "messages"),
    "Registration": (
        "open", "register", "import", "entries", "check-entries", "code", "screen", "exclude", "withdraw", "receipt",
        "lookup", "appeal", "appeals", "decide",
    ),
    "Draw": ("freeze", "removals", "decide-removal", "publish", "beacon", "draw", "winners"),
    "Shops": ("apply", "decide-shop", "shops", "join", "leave"),
    "Drop": ("terms", "allot", "evidence", "ready", "drop", "widen"),
    "Claims and payments": ("claim", "claims", "situation", "situations", "halt", "block", "resume"),
    "End": ("expire", "close", "cancel", "report"),
}  # fmt: skip

for _command in (
    *drop_claims.COMMANDS, *drop_registration.COMMANDS, *drop_shops.COMMANDS, *drop_report.COMMANDS
):  # fmt: skip
    app.command(_command, name=_command.__name__.strip("_").replace("_", "-"))
for _heading, _names in STEPS.items():
    _group = Group(_heading, sort_key=[*STEPS].index(_heading))
    for _place, _name in enumerate(_names):
        app[_name].group, app[_name].sort_key = (_group,), _place
