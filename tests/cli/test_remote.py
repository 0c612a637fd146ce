"""Commands over a server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.bank.world import DAY_NS, START_NS
from tests.client.world import ANNS, BOBS, PROGRAM, Place, appointed, place, program
from tests.wallets import world
from tests.wallets.codes import dead_letter, taken
from tests.wallets.world import ANN, LEO_KEY, NORTH, Town

from sycee import cli
from sycee.cli import remote_wallets
from sycee.client import Credentials
from sycee.core import ids
from sycee.core.keys import SigningKey
from sycee.core.records.layout import Block, Reason
from sycee.identity.duties import Duty

STAFF = {
    number: (duty, SigningKey.derive(bytes([number, 1]) * 16))
    for number, duty in ((162, Duty.CLOSER), (163, Duty.COUNTERSIGNER))
}
STAFF_PROGRAMS: dict[int, Credentials] = {}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    def prepare(made: Town) -> None:
        for number, (duty, key) in STAFF.items():
            STAFF_PROGRAMS[number] = program(made, number, appointed(made, duty, key))

    with place(tmp_path_factory.mktemp("remote"), prepare) as made:
        yield made


@pytest.fixture(scope="module")
def login(town: Place, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    file = tmp_path_factory.mktemp("keys") / "program.pem"
    PROGRAM.save(file)
    return ["--client", town.desk.client, "--client-key", str(file), "--origin", town.origin]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    NORTH.save(folder / "north.pem")
    LEO_KEY.save(folder / "leo.pem")
    return folder


def call(town: Place, *words: str) -> int:
    return cli.main([*words, "--server", town.address])


def test_the_supply_needs_no_login(town: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(town, "supply") == 0
    assert "supply: 1,000,000.00 CNY" in capsys.readouterr().out
    assert call(town, "supply", "--json") == 0
    assert json.loads(capsys.readouterr().out)["equal"] is True


def test_an_auditor_reads_the_folder_beside_the_server(
    town: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, shop = str(town.town.bank.folder.path), ids.format(town.town.shop)
    assert cli.main(["supply", folder]) == 4
    assert "If a server has it open, give the command --server URL." in capsys.readouterr().err
    assert cli.main(["statement", folder, shop, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["closing_minor"] == town.town.balance(town.town.shop)
    assert cli.main(["verify", folder]) == 0
    assert "proved:" in capsys.readouterr().out
    assert cli.main(["export", folder, "--to", str(tmp_path / "archive")]) == 0


def test_a_wallet_pays_with_its_key_alone(town: Place, keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leo, shop = (ids.format(each) for each in (town.town.leo, town.town.shop))
    before = town.town.balance(town.town.shop)
    words = ["pay", leo, shop, "1.50", "--key", str(keys / "leo.pem")]
    assert call(town, *words) == 0
    operation = re.search(r"paid 1\.50 CNY: operation (\S+)", capsys.readouterr().out)
    assert operation is not None
    assert call(town, *words, "--id", operation[1]) == 0  # a repetition pays once
    assert town.town.balance(town.town.shop) == before + 150
    assert call(town, *words, "--order", "A-1") == 2
    assert "needs a login" in capsys.readouterr().err
    assert call(town, *words, "--key-epoch", "2") == 1
    assert "KEY_EPOCH_DIFFERS" in capsys.readouterr().err


def test_a_desk_pays_refunds_and_reads(
    town: Place, keys: Path, login: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    ned, shop, till = (ids.format(each) for each in (town.town.ned, town.town.shop, town.town.till_1))
    signed = [*login, "--key", str(keys / "north.pem")]
    assert call(town, "pay", ned, shop, "2.00", *signed, "--order", "R-1", "--till", till, "--reference", "tea") == 0
    assert call(town, "refund", shop, "R-1", "0.50", *signed, "--till", till) == 0
    assert call(town, "merchant", "paid", shop, "R-1", *login, "--json") == 0
    shown = capsys.readouterr().out
    assert "refunded 0.50 CNY" in shown
    order = json.loads(shown[shown.index("{") :])
    assert (order["state"], order["minor"], order["refunded_minor"]) == ("paid", 200, 50)
    assert call(town, "merchant", "paid", shop, "R-1", *login) == 0
    assert f"order R-1: paid, payment {order['payment']}" in capsys.readouterr().out
    # A payment that the payer signed alone has no reference; the operator of the custodial shop refunds it as well.
    leo = ids.format(town.town.leo)
    assert call(town, "pay", leo, shop, "1.00", "--key", str(keys / "leo.pem")) == 0
    plain, before = capsys.readouterr().out.split()[-1], town.town.balance(town.town.leo)
    assert call(town, "refund", shop, plain, "0.40", *signed) == 0
    assert town.town.balance(town.town.leo) == before + 40
    assert call(town, "refund", shop, plain, "0.70", *signed) == 1
    assert "EXCEEDS_REFUNDABLE" in capsys.readouterr().err
    assert call(town, "refund", shop, plain, "0.10", *signed, "--till", till) == 2
    assert "was made at no till" in capsys.readouterr().err
    assert call(town, "refund", shop, ids.format(7), "0.10", *signed) == 2
    assert "there is no payment" in capsys.readouterr().err
    assert call(town, "refund", shop, "none", "1", *signed) == 2
    assert "order none is unknown, not paid" in capsys.readouterr().err
    assert call(town, "wallet", "show", ned, *login) == 0
    assert re.search(r"signs +operator", capsys.readouterr().out)
    assert call(town, "wallet", "show", ned, *login, "--json") == 0
    assert json.loads(capsys.readouterr().out)["balance_minor"] == town.town.balance(town.town.ned)
    assert call(town, "statement", ned, *login, "--lines", "1") == 0
    assert "0.50" in capsys.readouterr().out
    assert call(town, "statement", ned, *login, "--json") == 0
    lines = json.loads(capsys.readouterr().out)["lines"]
    assert [each["amount_minor"] for each in lines[:2]] == [50, -200]


def test_an_alias_is_paid_by_its_masked_name(
    town: Place, keys: Path, login: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    ned, before = ids.format(town.town.ned), town.town.balance(town.town.leo)
    words = ["pay", ned, "+86 138 0000 0001", "0.10", *login, "--key", str(keys / "north.pem")]
    assert call(town, *words) == 0
    assert "paying 0.10 CNY to L** M**********" in capsys.readouterr().err
    assert town.town.balance(town.town.leo) == before + 10


def test_an_officer_reads_and_signs_a_proposal(town: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bank = town.town.bank
    made = bank.issuance.mint(2, 5_00, maker=world.person(bank, world.ANN))
    name, file = ids.format(made.id), tmp_path / "bob.pem"
    world.BOB.save(file)
    BOBS.save(tmp_path / "program.pem")
    officer = ["--client", town.bob.client, "--client-key", str(tmp_path / "program.pem"), "--origin", town.origin]
    assert call(town, "proposal", "list", "--state", "open", *officer) == 0
    assert re.search(f"{name}  +mint  +open", capsys.readouterr().out)
    assert call(town, "proposal", "show", name, *officer) == 0
    shown = capsys.readouterr().out
    assert "TRANSFER  500 minor units from" in shown
    assert f"digest {made.digest.hex()}" in shown
    sign = ["proposal", "sign", name, *officer, "--key", str(file)]
    assert call(town, *sign, "--digest", "00") == 2
    assert "sign nothing" in capsys.readouterr().err
    assert call(town, *sign, "--digest", made.digest.hex()) == 0
    shown = capsys.readouterr().out
    assert "signed: the proposal is open\nneeds " in shown
    assert bank.proposals.get(made.id).signers == (world.person(bank, world.BOB),)
    # Another signature is made on a machine without a network.
    other = ids.format(bank.issuance.mint(2, 6_00, maker=world.person(bank, world.ANN)).id)
    exported, signature = tmp_path / "proposal.json", tmp_path / "signature.json"
    assert call(town, "proposal", "export", other, "--out", str(exported), *officer) == 0
    assert cli.main(["proposal", "sign", str(exported), "--key", str(file), "--out", str(signature)]) == 0
    assert call(town, "proposal", "import", str(signature), *officer) == 0
    shown = capsys.readouterr().out
    assert "signed: the proposal is open" in shown
    assert "needs " in shown
    assert bank.proposals.get(ids.parse(other)).signers == (world.person(bank, world.BOB),)
    assert call(town, "proposal", "list", *officer, "--json") == 0
    assert name in [each["proposal"] for each in json.loads(capsys.readouterr().out)["proposals"]]


def test_wrong_words_get_a_hint(town: Place, capsys: pytest.CaptureFixture[str]) -> None:
    leo = ids.format(town.town.leo)
    for words, message in (
        (["wallet", "show", leo, "--client", leo], "--client and --client-key belong together"),
        (["wallet", "show", leo], "the credentials of this request are not valid"),
        (["pay", leo, leo, "1"], "no key signs"),
        (["statement", leo, "--lines", "0"], "--lines must be 1 or more"),
        (["restore", leo], "sycee restore has no --server: it reads or writes the files of a ledger"),
        (["key", "list", leo], "sycee key list has no --server: it uses private keys"),
        (["resore", leo], 'there is no command "resore"'),
        (["request", "new", leo, "1", "--until", "2026-11-02"], "has no offset"),
        (["request", "new", leo, "1", "--until", "soon"], "is not a time"),
    ):
        assert call(town, *words) == 2, words
        assert message in capsys.readouterr().err


def test_a_lost_server_names_the_id_of_the_attempt(
    town: Place, keys: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sycee.client import Client, LostConnection

    whole = Client.do

    def lost(self: Client, made: object) -> object:
        if getattr(made, "id", ""):
            raise LostConnection("the server gave no answer")
        return whole(self, made)  # type: ignore[arg-type]

    monkeypatch.setattr(Client, "do", lost)
    leo, shop = (ids.format(each) for each in (town.town.leo, town.town.shop))
    assert call(town, "pay", leo, shop, "1", "--key", str(keys / "leo.pem")) == 4
    assert re.search(r"the same command with --id [0-9a-f-]{36} repeats this attempt", capsys.readouterr().err)


def test_a_desk_manages_wallets_and_keys(
    town: Place, keys: Path, login: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bank, north = town.town.bank, ["--key", str(keys / "north.pem")]
    person = {"name": "Zoe", "phone": "+86 139 0000 0100"}
    opened = bank.wallets.open_person(
        person, operator=2, tier="class-4", signers=town.town.operator, who=town.town.north
    )  # fmt: skip
    zoe = ids.format(opened.account)

    def done(*words: str) -> str:
        assert call(town, *words, *login) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    assert zoe in done("wallet", "list", ids.format(opened.holder))
    assert "@zoe is an alias" in done("wallet", "alias", zoe, "@zoe")
    assert done("wallet", "resolve", "@zoe") == f"{zoe}  Z**\n"
    assert "has ended" in done("wallet", "alias", zoe, "@zoe", "--end")
    assert call(town, "wallet", "alias", zoe, "@zoe", "--end", "--keep", *login) == 2
    challenge = done("wallet", "alias", zoe, "+86 139 0000 0101").split()[1].rstrip(":")
    assert "is an alias" in done("wallet", "confirm", challenge, taken(bank.aliases)[-1].code)
    assert "goes to the bank" in done("wallet", "waterfall", zoe, "--bank-account", "CN00 5", *north)
    assert "has ended" in done("wallet", "waterfall", zoe, *north)
    assert call(town, "wallet", "mandate", zoe, *login) == 2
    shown = done("key", "show", zoe)
    assert "no key" in shown
    values = shown.split("--ledger ")[1].split()
    LEO_KEY.save(tmp_path / "new.pem")
    assert cli.main(
        ["key", "prove", str(tmp_path / "new.pem"), "--ledger", values[0], "--account", zoe, "--epoch", values[-1]]
    ) == 0  # fmt: skip
    proof = capsys.readouterr().out.strip()
    new = ["--public-key", str(LEO_KEY.public), "--proof", proof]
    assert "key epoch 1" in done("key", "set", zoe, *new, *north)
    assert "class class-2" in done("wallet", "class", zoe, "class-2", *north)
    assert "no key" in done("key", "revoke", zoe, "--reason", "stolen", *north)
    assert "rotation" in done("key", "show", zoe)
    assert json.loads(done("key", "show", zoe, "--json"))["next_epoch"] == 3
    assert "closed" in done("wallet", "close", zoe, *north)
    wrong = ["--public-key", str(LEO_KEY.public), "--proof", "x", *north]
    assert call(town, "key", "set", zoe, *wrong, *login) == 2
    assert "not hexadecimal" in capsys.readouterr().err


def test_a_desk_opens_wallets_and_reads_refusals(
    town: Place, keys: Path, login: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    bank, signed = town.town.bank, [*login, "--operator", "2", "--key", str(keys / "north.pem")]
    persons, one, out = tmp_path / "persons.csv", tmp_path / "one.csv", tmp_path / "accounts.csv"
    persons.write_text("name,phone\nUma,+86 139 0000 0110\nUma,+86 139 0000 0110\nVic,+86 139 0000 0111\n")
    one.write_text("name,phone,birth\nWim,+86 139 0000 0112,1990-01-02\n")
    SigningKey.derive(bytes([203]) * 32).save(tmp_path / "wim.pem")
    words = ["wallet", "open", "--tier", "class-4", *signed]
    assert call(town, *words, "--from", str(persons), "--accounts", str(out)) == 0
    assert "2 wallets opened, 1 refused: 1 DUPLICATE_PHONE" in capsys.readouterr().out
    assert (tmp_path / "persons.refused.csv").read_text() == "row,code\n3,DUPLICATE_PHONE\n"
    rows = [each.split(",") for each in out.read_text().splitlines()[1:]]
    assert [row for row, _ in rows] == ["2", "4"]
    uma = bank.directory.get(ids.parse(rows[0][1]))
    assert (uma.operator, uma.is_custodial) == (2, True)
    # Under one id a file in batches is opened once.
    monkeypatch.setattr(remote_wallets, "OPENINGS_MAX", 2)
    persons.write_text("name,phone\n" + "".join(f"P{at},+86 139 0000 014{at}\n" for at in range(5)))
    file = [*words, "--from", str(persons), "--id", ids.format(ids.new(1_700_000_000_000))]
    for _ in range(2):
        assert call(town, *file) == 0
        assert "5 wallets opened, 0 refused" in capsys.readouterr().out
    # Under one id the wallet is opened once, with the key of its holder.
    words += ["--id", ids.format(ids.new(1_700_000_000_000))]
    assert call(town, *words, "--from", str(one), "--wallet-key", str(tmp_path / "wim.pem")) == 0
    shown = capsys.readouterr().out
    assert call(town, *words, "--from", str(one), "--wallet-key", str(tmp_path / "wim.pem")) == 0
    assert capsys.readouterr().out == shown
    assert not bank.directory.get(ids.parse(shown.split()[1])).is_custodial
    assert call(town, *words, "--from", str(persons), "--wallet-key", str(tmp_path / "wim.pem")) == 2
    assert "--wallet-key is of one wallet, and" in capsys.readouterr().err
    assert call(town, *words) == 2
    assert "name either --from or --person" in capsys.readouterr().err
    assert call(town, "wallet", "open", "--tier", "class-4", *signed, "--person", ids.format(uma.holder)) == 0
    assert len(bank.directory.of_holder(uma.holder)) == 2
    tea = bank.institutions.find("merchant", world.TEA).id
    assert call(town, "merchant", "open", ids.format(tea), *login, "--key", str(keys / "north.pem")) == 0
    assert f"merchant {ids.format(tea)}, operator 2" in capsys.readouterr().out
    bank.stores.ledger.signed_by(*town.town.operator).block(uma.account, Reason.REQUEST, sides=Block.CREDIT)
    leo = ids.format(town.town.leo)
    assert call(town, "pay", leo, rows[0][1], "0.10", "--key", str(keys / "leo.pem")) == 1
    assert "PAYEE_CANNOT_RECEIVE" in capsys.readouterr().err
    assert call(town, "wallet", "refusals", "2", *login, "--json") == 0
    assert [(each["payee"], each["code"]) for each in json.loads(capsys.readouterr().out)["refusals"]] == [
        (rows[0][1], "CREDIT_ACCOUNT_BLOCKED")
    ]
    assert call(town, "wallet", "refusals", "2", "--of-payers", *login) == 0
    assert re.search(f"{leo} +PAYEE_CANNOT_RECEIVE", capsys.readouterr().out)


def test_a_desk_asks_holds_and_moves_money(
    town: Place, keys: Path, login: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ned, leo, shop, tea = (ids.format(each) for each in (town.town.ned, town.town.leo, town.town.shop, town.town.tea))
    signed, until = ["--key", str(keys / "north.pem")], ["--until", "2030-01-01T00:00+08:00"]

    def done(*words: str) -> str:
        assert call(town, *words, *login) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    asked = done("request", "new", ned, "1.25", *until, "--payer", leo, *signed).split()[1].rstrip(":")
    assert asked in done("request", "list", ned, "--asked")
    picture = tmp_path / "code.png"
    assert done("request", "qr", asked, "--png", str(picture)).startswith("000201")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "withdrawn" in done("request", "withdraw", asked)
    theirs = done("request", "new", shop, "0.40", *until, *signed).split()[1].rstrip(":")
    assert "paid 0.40 CNY" in done("request", "pay", theirs, ned, *signed)
    held = done("hold", "new", ned, shop, "2.00", *until, *signed).split()[1].rstrip(":")
    assert "2031" in done("hold", "extend", held, "--until", "2031-01-01T00:00+08:00", *signed)
    assert "paid 1.50 CNY" in done("hold", "post", held, "1.50", *signed)
    assert re.search(f"{held}.*1.50.*posted", done("hold", "list", ned))
    other = done("hold", "new", ned, shop, "1.00", *until, *signed).split()[1].rstrip(":")
    assert "released" in done("hold", "void", other, *signed)
    assert json.loads(done("hold", "list", ned, "--json"))["holds"][0]["minor"] == 200

    assert "in transit" in done("funding", "to-wallet", ned, "3.00", "CLI-1", *signed)
    assert "CLI-1 is confirmed" in done("funding", "confirm", "2", "CLI-1")
    assert "to the bank" in done("funding", "to-bank", ned, "1.00", "CLI-2", *signed)
    assert "CLI-2 is rejected" in done("funding", "reject", "2", "CLI-2")
    assert re.search("CLI-2 .*rejected", done("funding", "list", "2"))
    for name in ("waterfalls", "shortfalls"):
        assert json.loads(done("funding", name, "2", "--json")) == {name: []}
    for reference, message in (("RW-00", "no payment waits"), ("WF-x", "no reference"), ("none", "has no funding")):
        assert call(town, "funding", "confirm", "2", reference, *login, *signed) == 2
        assert message in capsys.readouterr().err

    assert "gross" in done("merchant", "report", tea, "--day", "2026-11-02")
    assert done("merchant", "qr", shop, "--amount", "1.00", "--order", "Z-1").startswith("000201")
    assert "bank reference SW-" in done("merchant", "sweep", tea, shop, *signed)
    swept = json.loads(done("merchant", "sweeps", tea, "--json"))["sweeps"][-1]
    assert swept["state"] == "sent"
    assert "is rejected" in done("merchant", "reject", tea, swept["bank_reference"])
    again = re.search(r"bank reference (\S+)", done("merchant", "sweep", tea, shop, *signed))
    assert again is not None
    assert "is confirmed" in done("merchant", "confirm", tea, again[1])
    assert call(town, "merchant", "confirm", tea, "SW-0", *login) == 2
    assert "has no sweep 'SW-0'" in capsys.readouterr().err


def test_a_desk_proposes_invites_and_opens_cases(
    town: Place, login: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def done(*words: str) -> str:
        assert call(town, *words, *login) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    for name in ("mint", "redeem"):
        made = re.search(r"proposal (\S+) needs: \S", done(name, "2", "1.00"))
        assert made is not None
        assert "withdrawn" in done("proposal", "withdraw", made[1])
    assert town.reader.client in done("client", "list")
    ned = ids.format(town.town.holder(town.town.ned))
    assert call(town, "invite", "issue", ned, "--hours", "2", *login) == 0
    printed = capsys.readouterr()
    assert re.fullmatch(r"first half [A-Z2-7]{4}(-[A-Z2-7]{4}){3}\n", printed.out)
    assert "the second half goes to the person's phone" in printed.err
    invitation = printed.err.split()[1].rstrip(",")
    assert re.search(f"{invitation} +{ned} .* open", done("invite", "list"))
    assert "has ended" in done("invite", "revoke", invitation)
    listed = json.loads(done("invite", "list", "--json"))["invitations"]
    (row,) = (each for each in listed if each["invitation"] == invitation)
    assert (row["person"], row["state"], row["from"] < row["until"]) == (ned, "revoked", True)
    recovery = re.search(
        r"proposal (\S+) needs: \S", done("invite", "recover", ned, "--reason", "passport", "--letter")
    )
    assert recovery is not None
    assert "withdrawn" in done("proposal", "withdraw", recovery[1])
    assert call(town, "invite", "recover", ned, "--reason", " ", *login) == 2
    assert "1 to 200 printable characters" in capsys.readouterr().err
    assert "have ended" in done("invite", "end-logins", ned)
    number = done("case", "open", "complaint", "--person", ned, "--note", "slow").split()[1]
    assert re.search(f"{number} +complaint", done("case", "list"))
    assert f"case {number}, complaint" in done("case", "show", number)
    assert json.loads(done("case", "claims", "--json")) == {"claims": []}
    extra = program(town.town, 161, town.town.north, 2)
    assert "is revoked" in done("client", "revoke", extra.client)


def test_officers_let_an_operator_join(town: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logins = {}
    for name, credentials, program_key, key in (("ann", town.ann, ANNS, ANN), ("bob", town.bob, BOBS, world.BOB)):
        program_key.save(tmp_path / f"{name}-program.pem")
        key.save(tmp_path / f"{name}.pem")
        words = ["--client", credentials.client, "--client-key", str(tmp_path / f"{name}-program.pem")]
        logins[name] = [*words, "--origin", town.origin]

    def done(name: str, *words: str) -> str:
        assert call(town, *words, *logins[name]) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    def signed(*words: str) -> None:
        """Let Ann propose, and both officers sign with their own keys."""
        proposal = done("ann", *words).split()[1]
        for name in ("ann", "bob"):
            shown = done(name, "proposal", "sign", proposal, "--key", str(tmp_path / f"{name}.pem"))
        assert "the proposal is done" in shown

    assert json.loads(done("ann", "invite", "logins", "--json")) == {"logins": []}
    until = ["--until", "2027-11-02T00:00+08:00"]
    made = done(
        "ann", "institution", "add", "East Bank", "--kind", "operator", "--owner", "new=60", "--owner", "new=25.5"
    )
    east = made.split()[1].rstrip(":")
    assert re.search(r"owner \S+: 25\.5 %", made)
    words = ["institution", "add", "West Bank", "--kind", "operator", "--owner", "new=101"]
    assert call(town, *words, *logins["ann"]) == 2
    assert "at most 100 %" in capsys.readouterr().err
    signed("institution", "verify", "East Bank", "--check", "papers")
    signed("institution", "verify", east, "--check", "owners")
    shown = done("bob", "institution", "show", "East Bank")
    assert "East Bank: operator, approved" in shown
    assert "check owners: passed" in shown
    public = ["--public-key", str(SigningKey.derive(bytes([201]) * 32).public)]
    signed("operator", "join", east, "--quota", "5,000,000.00", *public, *until)
    rows = json.loads(done("bob", "operator", "list", "--json"))["operators"]
    (joined,) = [each for each in rows if each["institution"] == east]
    number = str(joined["number"])
    assert (joined["state"], joined["money"]["quota"]) == ("active", 5_000_000_00)
    signed("reserves", "credit", number, "1,000.00")
    assert re.search(rf"{number} +East Bank +active +0\.00 +1,000\.00", done("bob", "operator", "list"))
    for limit in (("cap", "9,000.00"), ("quota", number, "9,000.00")):
        made = done("bob", "reserves", *limit, "--from", "2026-12-02T00:00+08:00").split()[1]
        assert "withdrawn" in done("bob", "proposal", "withdraw", made)
    assert json.loads(done("ann", "reserves", "rules", "--json")) == {"rules": []}
    made = done("ann", "reserves", "rules", "full").split()[1]
    assert "withdrawn" in done("ann", "proposal", "withdraw", made)
    assert "needs: " in done("ann", "operator", "leave", number)
    assert call(town, "institution", "show", "No Bank", *logins["ann"]) == 2
    assert "give the id that `sycee institution list` shows" in capsys.readouterr().err


def test_officers_appoint_and_dismiss(town: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ANNS.save(tmp_path / "program.pem")
    login = ["--client", town.ann.client, "--client-key", str(tmp_path / "program.pem"), "--origin", town.origin]

    def done(*words: str) -> str:
        assert call(town, *words, *login) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    public = ["--public-key", str(SigningKey.derive(bytes([202]) * 32).public)]
    until = ["--until", "2027-11-02T00:00+08:00"]
    proposal = done("officer", "add", "--duty", "clerk", *public, *until, "--institution", "North Bank").split()[1]
    town.town.bank.proposals.sign(ids.parse(proposal), ANN, world.BOB)
    held = json.loads(done("officer", "list", "--json"))["duties"]
    (duty,) = [each["duty_id"] for each in held if (each["duty"], each["operator"]) == ("clerk", 2)]
    proposal = done("officer", "end", duty).split()[1]
    town.town.bank.proposals.sign(ids.parse(proposal), ANN, world.BOB)
    assert duty not in done("officer", "list")
    ANN.save(tmp_path / "ann.pem")
    program = ["--public-key", str(SigningKey.derive(bytes([204]) * 32).public), "--operator", "2", "--read-only"]
    north = ["--person", ids.format(town.town.north), "--key", str(tmp_path / "ann.pem")]
    registered = done("client", "register", "figures of the north", *north, *program).split()[1]
    assert re.search(f"{registered} +figures of the north", done("client", "list"))
    letter = ids.format(dead_letter(town.town.bank, town.town.holder(town.town.leo)))
    assert re.search(f"{letter} .*LOGIN_CREATED .*dead", done("person", "notices"))
    assert done("person", "notices", "--again", letter) == "the notice waits again\n"
    assert re.search(f"{letter} .*LOGIN_CREATED .*waiting", done("person", "notices"))


def test_a_desk_opens_and_closes_outlets_and_tills(
    town: Place, login: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def done(*words: str) -> str:
        assert call(town, "institution", *words, *login) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    assert re.search(rf"{world.TEA} +merchant +2 +active", done("list", "--kind", "merchant"))
    outlet = done("outlet", world.TEA, "pier").strip()
    public = ["--public-key", str(LEO_KEY.public)]
    till = done("till", world.TEA, "pier/T9", *public).strip()
    assert (
        town.town.bank.institutions.till(ids.parse(till)).merchant
        == town.town.bank.institutions.find("merchant", world.TEA).id
    )
    assert outlet != till
    done("till", world.TEA, "pier/T9", "--close")
    assert call(town, "institution", "till", world.TEA, "pier/T9", "--close", *login) == 2
    assert "has no open till 'pier/T9'" in capsys.readouterr().err
    done("outlet", world.TEA, "pier", "--close")
    assert call(town, "institution", "till", world.TEA, "pier", *login) == 2
    assert "write OUTLET/TILL" in capsys.readouterr().err
    done("account", world.TEA, "CN00 9999")
    assert "settlement account: stated" in done("show", world.TEA)


def test_a_desk_reads_persons_and_records_events(
    town: Place, keys: Path, login: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bank, signed = town.town.bank, ["--key", str(keys / "north.pem")]

    def done(*words: str) -> str:
        assert call(town, *words, *login) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    opened = bank.wallets.open_person(
        {"name": "Xia", "phone": "+86 139 0000 0120"}, operator=2, tier="class-4", signers=town.town.operator,
        who=town.town.north,
    )  # fmt: skip
    xia, wallet = ids.format(opened.holder), ids.format(opened.account)
    number = done("case", "open", "complaint", "--person", xia).split()[1]
    why = ["--reason", "complaint", "--case", number]
    assert re.search(r"name +Xia", done("person", "show", xia, "--field", "name", *why))
    assert done("person", "find", "+86 139 0000 0120", *why) == f"{xia}\n"
    assert next(iter(bank.life.access_log(opened.holder, by=opened.holder))).fields == ("name",)
    assert call(town, "person", "log", xia, *login) == 2  # neither own data, nor those of a ward
    capsys.readouterr()
    assert call(town, "person", "log", ids.format(town.town.north), *login) == 0
    assert "there are no entries" in capsys.readouterr().err
    SigningKey.derive(bytes([205]) * 32).save(tmp_path / "xia.pem")
    lost = ["person", "lost", wallet, "--new-key", str(tmp_path / "xia.pem"), *signed, "--case"]
    assert call(town, *lost, number, *login) == 2  # a complaint, which the same person opened
    assert "two persons of the staff are needed" in capsys.readouterr().err
    own = bank.cases.open("recovery", by=opened.holder, person=opened.holder)
    assert "packets only until" in done(*lost, str(own))
    assert bank.stores.ledger.account(opened.account).key == SigningKey.derive(bytes([205]) * 32).public.key
    for kind in ("dormant", "court-order"):
        assert f"is blocked: {kind}" in done("person", "block", wallet, "--kind", kind, "--case", number, *signed)
    assert "no longer blocked: dormant" in done("person", "unblock", wallet, "--kind", "dormant", *signed)
    assert call(town, "person", "block", wallet, "--kind", "drunk", *signed, *login) == 2
    assert "use court-order or dormant" in capsys.readouterr().err
    other = ids.format(town.town.holder(town.town.ned))
    assert "with the duty compliance or officer" in done("person", "guardian", xia, other)
    died = ["person", "deceased", xia, "--operator", "2", "--case", number]
    assert f"wallet {wallet} is blocked" in done(*died, *signed)
    assert "no longer blocked: deceased" in done("person", "unblock", wallet, "--kind", "deceased", *died[-2:], *signed)
    BOBS.save(tmp_path / "program.pem")
    officer = ["--client", town.bob.client, "--client-key", str(tmp_path / "program.pem"), "--origin", town.origin]
    late = ["--case", number, "--until", "2027-01-01T00:00+08:00"]
    for words in (("hold", xia, *late), ("delay", xia, *late)):
        assert call(town, "person", *words, *officer) == 0
        assert "needs: " in capsys.readouterr().out
    assert call(town, "person", "hold", xia, *officer, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"holds": []}
    assert call(town, "person", "unblock", wallet, "--kind", "court-order", "--case", number, *officer) == 0
    assert "needs: " in capsys.readouterr().out
    assert f"case {number} is answered" in done("case", "act", number, "answer", "--note", "paid back")


def test_a_day_is_closed_and_countersigned_here(
    town: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bank, logins = town.town.bank, []
    for number, (_, key) in STAFF.items():
        made = STAFF_PROGRAMS[number]
        key.save(tmp_path / f"{number}.pem")
        made.key.save(tmp_path / f"{number}-program.pem")
        words = ["--client", made.client, "--client-key", str(tmp_path / f"{number}-program.pem")]
        logins.append([*words, "--origin", town.origin])
    closer, other = logins
    bank.set_clock(START_NS + DAY_NS)
    day = bank.day.next_day().isoformat()

    def done(*words: str) -> str:
        assert call(town, *words) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    assert f"next: {day}" in done("day", "list", *closer)
    shown = done("day", "close", day, *closer, "--key", str(tmp_path / "162.pem"))
    assert "in circulation" in shown
    assert f"day {day} closed" in shown
    stranger = ["--trusted", str(SigningKey.generate().public)]
    sign = ["day", "countersign", day, *other, "--key", str(tmp_path / "163.pem")]
    assert call(town, *sign, *stranger) == 3
    assert "none of the given keys" in capsys.readouterr().err
    trusted = ["--trusted", str(SigningKey.load(tmp_path / "162.pem").public)]
    assert "two signatures" in done(*sign, *trusted, "--out", str(tmp_path / "pack.json"))
    assert call(town, *sign, "--out", str(tmp_path / "pack.json")) == 2
    assert "exists already" in capsys.readouterr().err
    assert "is in" in done("day", "pack", day, *other, "--out", str(tmp_path / "copy.json"))
    assert (tmp_path / "copy.json").read_bytes() == (tmp_path / "pack.json").read_bytes()
    assert cli.main(["day", "verify", str(tmp_path / "copy.json")]) == 0
    capsys.readouterr()
    rows = json.loads(done("day", "breaks", "--all", *closer, "--json"))["breaks"]
    assert [each["number"] for each in rows] == list(range(1, len(rows) + 1))
    for words in (("assign", "999", "--owner", ids.format(1)), ("resolve", "999", "--reason", "checked")):
        assert call(town, "day", *words, *closer) == 2
    file = tmp_path / "statement.csv"
    file.write_bytes(b"\xff")
    assert call(town, "day", "close", day, *closer, "--key", str(tmp_path / "162.pem"), "--statement", str(file)) == 2
    assert "is not UTF-8" in capsys.readouterr().err
