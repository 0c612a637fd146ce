"""No command but those that show personal data prints a planted value, and no file that a command writes has one."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.bank import planting
from tests.bank.planting import ADDRESS, BIRTH, CHINESE_NAME, CHINESE_REFERENCE, NAME, PAPER, PHONE, REFERENCE
from tests.wallets import world
from tests.wallets.world import LEO_KEY, MIA_KEY, NORTH

from sycee import cli
from sycee.core import ids
from sycee.core.secret_files import SecretKey

ROWS = f"""name,phone,paper,paper_kind,birth,address
{NAME},{PHONE},{PAPER},passport,{BIRTH},{ADDRESS}
{CHINESE_NAME},+8613987654322,,,,{ADDRESS}
{NAME},{PHONE},,,,
{NAME},{PHONE}9999,,,,
{NAME},,{PAPER},,on {BIRTH},
"""
SHOWS = "shows personal data on purpose"


def test_commands_print_and_write_no_planted_value(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, outside = tmp_path / "place", tmp_path / "outside"
    for folder in (place, outside):
        folder.mkdir()
    with world.bank("", place) as town:
        leo, mia, person = (ids.format(each) for each in (town.leo, town.mia, town.holder(town.leo)))
    for name, key in (("north", NORTH), ("leo", LEO_KEY), ("mia", MIA_KEY)):
        key.save(place / f"{name}.pem")
    settings = place / "bank" / "sycee.toml"
    settings.write_text(settings.read_text() + 'country = "CN"\ncity = "Suzhou"\n')
    SecretKey.generate().save(place / "backup.key")
    (outside / "citizens.csv").write_text(ROWS)
    (outside / "wrong.csv").write_text(f"{NAME},{PHONE}\n1,2\n")
    monkeypatch.chdir(place)
    north, by_leo = ("--key", "north.pem"), ("--key", "leo.pem")
    opening = ("wallet", "open", "bank", "--operator", "2", "--tier", "class-4", *north, "--from")
    pay = ("pay", "bank", leo)
    calls: list[tuple[tuple[str, ...], int]] = [
        ((*opening, str(outside / "citizens.csv"), "--refused", "refused.csv", "--accounts", "accounts.csv"), 0),
        ((*opening, str(outside / "wrong.csv")), 2),
        ((*pay, PHONE, "12.00", "--reference", REFERENCE, *by_leo), 0),
        ((*pay, mia, "1.00", "--reference", CHINESE_REFERENCE, *by_leo), 0),
        ((*pay, f"{PHONE}9999", "1.00", *by_leo), 2),
        ((*pay, f"@{NAME}", "1.00", *by_leo), 2),
        ((*pay, mia, "1.00", "--reference", REFERENCE * 2, *by_leo), 2),
        ((*pay, mia, "99999.00", "--reference", REFERENCE, *by_leo), 1),
        (("wallet", "resolve", "bank", PHONE, *by_leo), 0),
        (
            (
                "request",
                "new",
                "bank",
                mia,
                "3.00",
                "--until",
                "2026-11-03",
                "--reference",
                REFERENCE,
                "--key",
                "mia.pem",
            ),
            0,
        ),
        (("case", "open", "bank", "complaint", "--person", person, "--note", CHINESE_REFERENCE, *north), 0),
        (("case", "show", "bank", "1", *north), 0),
        (("case", "list", "bank"), 0),
        (("person", "find", "bank", f"{PHONE}x", "--reason", "complaint", "--case", "1", *north), 2),
        (("person", "verify", "bank"), 0),
        (("statement", "bank", leo), 0),
        (("statement", "bank", leo, "--csv", "leo.csv", "--json"), 0),
        (("supply", "bank"), 0),
        (("proposal", "list", "bank"), 0),
        (("backup", "bank", "one.backup", "--backup-key", "backup.key"), 0),
        (("verify", "bank"), 0),
    ]
    found, codes, errors = [], [], []
    for words, _ in calls:
        codes.append(cli.main(list(words)))
        said = capfd.readouterr()
        errors.append(said.err)
        found += planting.found_in(said.out + said.err, f"what `sycee {words[0]} {words[1]}` prints")
    assert found == []
    wrong = [(words, was, err) for (words, code), was, err in zip(calls, codes, errors, strict=True) if code != was]
    assert wrong == []
    assert planting.found_in_files(place) == []
    assert len((place / "refused.csv").read_text().splitlines()) == 4  # a heading, and three rows by number and code
    assert cli.main(["person", "find", "bank", PHONE, "--reason", "complaint", "--case", "1", *north]) == 0
    number = capfd.readouterr().out.strip()
    show = ["person", "show", "bank", number, "--field", "name", "--reason", "complaint", *north]
    assert cli.main([*show, "--case", "1"]) == 2  # the case is about another person
    assert planting.found_in(capfd.readouterr().err, "a refusal") == []
    assert cli.main(["case", "open", "bank", "complaint", "--person", number, *north]) == 0
    capfd.readouterr()
    assert cli.main([*show, "--case", "2"]) == 0
    assert NAME in capfd.readouterr().out, SHOWS
    assert planting.found_in_files(place) == []
