"""`sycee bulk` on a folder and over a server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.bulk.world import rows_of
from tests.client.world import PROGRAM, Place, place
from tests.wallets import world
from tests.wallets.world import ANN, BOB, LEO_KEY, NORTH

from sycee import cli
from sycee.bank.bank import Bank
from sycee.client import bulk_arrow, bulk_files
from sycee.core import ids, money
from sycee.core.errors import UsageError

CNY = money.currency("CNY")
Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    def call(*words: object) -> tuple[int, str, str]:
        code = cli.main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name, key in (("ann", ANN), ("bob", BOB), ("north", NORTH), ("leo", LEO_KEY), ("program", PROGRAM)):
        key.save(folder / f"{name}.pem")
    return folder


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The folder of a closed town, and the ids of its accounts."""
    folder = tmp_path_factory.mktemp("town")
    with world.bank("", folder) as town:
        accounts = {"leo": town.leo, "mia": town.mia, "ned": town.ned}
    return folder / "bank", {name: ids.format(account) for name, account in accounts.items()}


def csv_of(path: Path, *rows: tuple[str, str]) -> Path:
    path.write_text("payee,amount\n" + "".join(f"{payee},{amount}\n" for payee, amount in rows))
    return path


def test_a_file_is_paid_and_the_same_command_pays_nothing_more(
    settled: tuple[Path, dict[str, str]], keys: Path, said: Said, tmp_path: Path
) -> None:
    bank, accounts = settled
    leo, mia = accounts["leo"], accounts["mia"]
    file = csv_of(tmp_path / "wages.csv", (mia, "1.50"), (mia, "2"), (ids.format(12_345), "1"))
    dry = said("bulk", "dry-run", bank, leo, file, "--output", tmp_path / "dry.csv")
    assert dry[0] == 1
    assert re.search(r"2 of 3 rows would be paid as of frame \d+\n", dry[1])
    assert (tmp_path / "dry.csv").read_text().splitlines()[3] == "3,PAYEE_CANNOT_RECEIVE,no,0"
    assert not (tmp_path / "wages.csv.id").exists()
    for _ in range(2):
        code, out, err = said("bulk", "pay", bank, leo, file, "--key", keys / "leo.pem")
        assert code == 1
        assert out.splitlines()[0] == "2 of 3 rows paid"
        assert re.search(r"PAYEE_CANNOT_RECEIVE +1\n", out)
        found = (tmp_path / "wages.csv.id").read_text().strip()
        assert f"file {found}: 4.50 CNY" in err
    code, out, _ = said("bulk", "status", bank, found, "--json")
    assert json.loads(out)["counts"] == {"CREATED": 2, "PAYEE_CANNOT_RECEIVE": 1}
    assert json.loads(out)["paid_minor"] == 350
    code, out, _ = said("bulk", "results", bank, found)
    assert [line.split(",")[:3] for line in out.splitlines()] == [
        ["row", "code", "repeated"],
        ["1", "CREATED", "yes"],
        ["2", "CREATED", "yes"],
        ["3", "PAYEE_CANNOT_RECEIVE", "yes"],
    ]


def test_bad_rows_are_named_and_nothing_is_paid(
    settled: tuple[Path, dict[str, str]], keys: Path, said: Said, tmp_path: Path
) -> None:
    bank, accounts = settled
    file = csv_of(tmp_path / "bad.csv", (accounts["mia"], "1,50"), ("Mia", "2"))
    code, out, err = said("bulk", "pay", bank, accounts["leo"], file, "--key", keys / "leo.pem")
    assert (code, out) == (2, "")
    assert "line 3, column payee: 'Mia' is no id" in err
    assert f"line 2: '{accounts['mia']},1,50' has 3 columns, not 2" in err
    assert not (tmp_path / "bad.csv.id").exists()


def test_two_persons_approve_a_file_above_the_amount(
    settled: tuple[Path, dict[str, str]], keys: Path, said: Said, tmp_path: Path
) -> None:
    bank, accounts = settled
    file = csv_of(tmp_path / "large.csv", (accounts["mia"], "100000.01"))
    words = ("bulk", "pay", bank, accounts["leo"], file, "--key", keys / "leo.pem")
    code, _, err = said(*words)
    assert (code, "waits for two persons" in err) == (1, True)
    found = (tmp_path / "large.csv.id").read_text().strip()
    assert f"`sycee bulk approve {bank} {found}`, the id in large.csv.id" in err
    code, out, _ = said("bulk", "approve", bank, found, "--key", keys / "ann.pem")
    assert (code, "bulk.approve; missing: a person other than the maker" in out) == (0, True)
    assert "1 row, 100,000.01 CNY, digest " in out
    code, out, _ = said("bulk", "approve", bank, found, "--key", keys / "ann.pem", "--key", keys / "bob.pem")
    assert (code, out.endswith("bulk.approve done\n")) == (0, True)
    code, out, _ = said(*words)
    assert (code, "EXCEEDS_BALANCE" in out) == (1, True)


def test_all_rows_or_none(settled: tuple[Path, dict[str, str]], keys: Path, said: Said, tmp_path: Path) -> None:
    bank, accounts = settled
    file = csv_of(tmp_path / "all.csv", (accounts["mia"], "1"), (accounts["ned"], "2"))
    both = ("--key", keys / "leo.pem", "--key", keys / "north.pem")
    code, out, _ = said("bulk", "pay", bank, accounts["leo"], file, "--all-or-nothing", *both)
    assert (code, out) == (0, "2 of 2 rows staged, and none is paid yet\n")
    found = (tmp_path / "all.csv.id").read_text().strip()
    code, out, _ = said("bulk", "settle", bank, found, "--key", keys / "north.pem")
    assert (code, out) == (0, "settled: 2 rows, 3.00 CNY\n")
    with Bank.open(bank) as opened:
        assert opened.check() == []
        assert opened.stores.ledger.balance(accounts["ned"]) == 200
    code, out, _ = said("bulk", "list", bank, accounts["leo"], "--json")
    newest = json.loads(out)["files"][0]
    assert (code, newest.pop("file")) == (0, found)
    assert newest == {"mode": "all", "rows": 2, "sum": "3.00", "sum_minor": 300, "state": "settled"}
    assert re.search(rf"{found} +all +2 +3.00 +settled", said("bulk", "list", bank, accounts["leo"])[1])


def test_files_of_several_kinds_have_the_same_rows(tmp_path: Path) -> None:
    rows = rows_of([1, 2], [3, 4])
    table = pa.Table.from_batches([bulk_arrow.batch_of(rows)])
    pq.write_table(table, tmp_path / "rows.parquet")
    with pa.ipc.new_file(str(tmp_path / "rows.arrow"), table.schema) as writer:
        writer.write_table(table)
    with pa.ipc.new_stream(str(tmp_path / "rows.arrows"), table.schema) as writer:
        writer.write_table(table)
    csv_of(tmp_path / "rows.CSV", (ids.format(1), "0.03"), (ids.format(2), "0.04"))
    for name in ("rows.parquet", "rows.arrow", "rows.arrows", "rows.CSV"):
        assert bulk_files.read(tmp_path / name, CNY).digest() == rows.digest(), name
    (tmp_path / "rows.txt").write_text("")
    with pytest.raises(UsageError, match="has no suffix"):
        bulk_files.read(tmp_path / "rows.txt", CNY)
    (tmp_path / "wrong.arrow").write_bytes(b"x" * 100)
    with pytest.raises(UsageError, match="cannot be read"):
        bulk_files.read(tmp_path / "wrong.arrow", CNY)
    pq.write_table(table.slice(0, 0), tmp_path / "empty.parquet")
    with pytest.raises(UsageError, match="has 0 rows"):
        bulk_files.read(tmp_path / "empty.parquet", CNY)
    first = bulk_files.file_id(tmp_path / "rows.parquet")
    assert bulk_files.file_id(tmp_path / "rows.parquet") == first
    assert bulk_files.file_id(tmp_path / "rows.parquet", ids.format(7)) == 7
    assert np.array_equal(bulk_files.read(tmp_path / "rows.arrow", CNY).amounts, rows.amounts)


# --- over a server ---


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("served"), bulk_approval_minor="10000") as made:
        yield made


def test_a_program_pays_a_file_over_a_server(served: Place, keys: Path, said: Said, tmp_path: Path) -> None:
    town, ned = served.town, ids.format(served.town.ned)
    login = ("--server", served.address, "--origin", served.origin, "--client", served.desk.client)
    login += ("--client-key", str(keys / "program.pem"))
    north = ("--key", str(keys / "north.pem"))
    file = csv_of(tmp_path / "wages.csv", (ids.format(town.mia), "1.50"), (ids.format(12_345), "1"))
    code, out, _ = said("bulk", "dry-run", ned, file, *login)
    assert (code, out.splitlines()[0]) == (1, "1 of 2 rows would be paid")
    before = town.balance(town.mia)
    for _ in range(2):
        code, out, _ = said("bulk", "pay", ned, file, *login, *north)
        assert (code, out.splitlines()[0]) == (1, "1 of 2 rows paid")
    assert town.balance(town.mia) == before + 150
    found = (tmp_path / "wages.csv.id").read_text().strip()
    assert said("bulk", "status", found, *login)[1].startswith("open: 2.50 CNY, digest ")
    assert json.loads(said("bulk", "status", found, *login, "--json")[1])["paid_minor"] == 150
    assert said("bulk", "results", found, *login)[1].splitlines()[2].startswith("2,PAYEE_CANNOT_RECEIVE,yes,")
    csv_of(tmp_path / "wages.csv", (ids.format(town.mia), "1.75"))
    code, _, err = said("bulk", "pay", ned, file, *login, *north)
    assert (code, f"{found} is the id of other rows" in err, "once FILE.id is removed" in err) == (2, True, True)
    whole = csv_of(tmp_path / "all.csv", (ids.format(town.mia), "1"))
    code, out, err = said("bulk", "pay", ned, whole, "--all-or-nothing", *login, *north)
    assert (code, out) == (0, "1 of 1 row staged, and none is paid yet\n")
    staged = (tmp_path / "all.csv.id").read_text().strip()
    assert f"next: `sycee bulk settle` with {staged}" in err
    assert said("bulk", "settle", staged, *login, *north)[:2] == (0, "settled: 1 row, 1.00 CNY\n")
    listed = json.loads(said("bulk", "list", ned, *login, "--json")[1])["files"]
    assert [(each["file"], each["sum"], each["state"]) for each in listed] == [
        (staged, "1.00", "settled"), (found, "2.50", "open"),
    ]  # fmt: skip
    large = csv_of(tmp_path / "large.csv", (ids.format(town.mia), "100.01"))
    code, _, err = said("bulk", "pay", ned, large, *login, *north)
    assert (code, "two persons approve its digest" in err) == (2, True)
    waiting = (tmp_path / "large.csv.id").read_text().strip()
    assert "(`sycee bulk approve`)" in err
    code, out, err = said("bulk", "approve", waiting, *login)
    assert (code, re.search(r"proposal [0-9a-f-]{36}\n", out) is not None) == (0, True)
    assert "`sycee proposal sign` over the server; then pay the same file again" in err
