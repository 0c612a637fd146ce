"""`sycee voucher`: JSON, files of results, and money that a refund left; the guide shows the other commands."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from tests.programmes.world import NORTH
from tests.vouchers.town import GROUP, town

from sycee import cli
from sycee.core.records import operations


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The folder of a closed bank, and the key file of its operator's person."""
    folder: Path = tmp_path_factory.mktemp("commands")
    with town(folder) as place:
        (_, number), _ = place.ready(10_00, 5_00)
        paid = place.redeem(number, 4_00)
        refund = operations.refund(place.bank.stores.ledger.new_id(), original=paid.payment, amount=1_00)
        place.bank.stores.ledger.signed_by(*place.bank.signers(NORTH)).submit(refund)
    key = folder / "north.pem"
    NORTH.save(key)
    return str(folder / "bank"), str(key)


def test_a_voucher_and_the_groups_as_json(bank: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["voucher", "show", bank[0], "1", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["state"], shown["amount"], shown["redeemed"], shown["rest"]) == ("activated", "10.00", "4.00", "6.00")
    assert [each["step"] for each in shown["steps"]] == ["reserve", "activate", "print", "print", "redeem"]
    assert cli.main(["voucher", "groups", bank[0], "--json"]) == 0
    (group,) = json.loads(capsys.readouterr().out)["groups"]
    assert (group["group"], group["budget"], group["state"]) == (GROUP, "300.00", "open")


def test_results_of_rows_and_what_a_refund_left(
    bank: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, key = bank
    rows, results = tmp_path / "rows.csv", tmp_path / "results.csv"
    rows.write_text("serial,beneficiary\n2,CHILD-0001\n77,CHILD-0002\n")
    assert cli.main(["voucher", "activate", folder, GROUP, str(rows), "--output", str(results), "--key", key]) == 1
    assert "VOUCHER_NOT_FOUND" in capsys.readouterr().out
    found = list(csv.DictReader(results.read_text().splitlines()))
    assert [(each["serial"], each["outcome"]) for each in found] == [("2", "done"), ("77", "refused")]
    assert cli.main(["voucher", "return", folder, GROUP, "--key", key]) == 0
    assert capsys.readouterr().out == "returned 1.00 CNY to the funder\n"
    assert cli.main(["voucher", "return", folder, GROUP, "--key", key]) == 2
    rows.write_text("serial\n2\n")
    assert cli.main(["voucher", "activate", folder, GROUP, str(rows), "--key", key]) == 2
    assert "lacks the columns" in capsys.readouterr().err
