"""`sycee compliance sign`, `trust` and `--trust`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_compliance import BANKS, TERMS

from sycee.compliance import authority
from sycee.core.keys import SigningKey

REGISTER, BANK = SigningKey.derive(b"register".ljust(32)), SigningKey.derive(b"bank".ljust(32))
GRANTS = f"""
network = "two-banks"
title = "Who may do what"
mode = "signed-only"

[[grants]]
holder = "the register"
key = "{REGISTER.public.key.hex()}"
roles = ["declare"]
subjects = ["*"]
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a folder with declarations, a profile, an authority file and two keys."""
    files = {"banks": BANKS.replace("EXAMINER", "ab" * 32), "terms": TERMS, "grants": GRANTS}
    for name, text in files.items():
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    for name, key in (("register", REGISTER), ("bank", BANK)):
        key.save(tmp_path / f"{name}.key")
    return tmp_path


def test_declarations_are_signed_and_judged_under_an_authority_file(sycee: Any, place: Path) -> None:
    banks, grants = place / "banks.toml", place / "grants.toml"
    judged = ("compliance", "check", banks, "--profile", place / "terms.toml")
    unsigned = sycee(*judged, "--trust", grants)
    assert (unsigned.code, "does not count:" in unsigned.out) == (1, True)
    shown = sycee("compliance", "trust", grants, banks)
    assert f"{banks}: not signed" in shown.out.replace("\n    ", " ")
    assert "the register" in shown.out
    written = sycee("compliance", "sign", banks, "--key", place / "register.key")
    assert written.out == f"{banks}.sig: signed for two-banks by {REGISTER.public.key.hex()}\n"
    signed = sycee(*judged, "--trust", grants)
    assert "does not count" not in signed.out
    assert signed.out == sycee(*judged).out
    members = sycee("compliance", "trust", grants, banks, "--json").json()
    of_file = members["files"][str(banks)]
    assert str(of_file.pop("signed_at")).startswith("20")
    assert of_file == {"key": REGISTER.public.key.hex(), "holder": "the register"}
    assert (members["mode"], members["waiver_days_max"], members["notes"]) == ("signed-only", 366, [])
    explained = sycee("compliance", "explain", banks, "second-bank", "--trust", grants, *judged[3:])
    assert "exit_terms" in explained.out


def test_a_key_without_authority_and_a_changed_file_are_errors(sycee: Any, place: Path) -> None:
    banks, grants = place / "banks.toml", place / "grants.toml"
    members = sycee("compliance", "sign", banks, "--key", place / "bank.key", "--json").json()
    assert members == {"key": BANK.public.key.hex(), "network": "two-banks", "signatures": [f"{banks}.sig"]}
    refused = sycee("compliance", "trust", grants, banks)
    assert (refused.code, refused.out) == (2, "")
    assert "has no authority to declare here" in refused.err
    banks.write_text(banks.read_text().replace("Two banks", "Three banks"))
    changed = sycee("compliance", "check", banks)
    assert changed.code == 2
    assert "banks.toml.sig:5: signature: does not verify" in changed.err


def test_a_file_without_a_network_is_signed_for_one_that_is_named(sycee: Any, place: Path) -> None:
    own = place / "own.toml"
    own.write_text('[[organisations]]\nid = "third-bank"\nstate = "AA"\n', encoding="utf-8")
    refused = sycee("compliance", "sign", own, "--key", place / "bank.key")
    assert (refused.code, "give --network" in refused.err) == (2, True)
    written = sycee("compliance", "sign", own, "--key", place / "bank.key", "--network", "another")
    assert written.out.startswith(f"{own}.sig: signed for another by ")
    checked = sycee("compliance", "check", place / "banks.toml", own, "--profile", place / "terms.toml")
    assert checked.code == 2
    assert 'the file was signed for "another", and is given for two-banks' in checked.err.replace("\n", " ")


def test_an_older_signed_file_is_noticed_with_a_log(sycee: Any, place: Path) -> None:
    banks, grants, seen = place / "banks.toml", place / "grants.toml", place / "seen.log"
    old = banks.read_bytes()
    (place / "old.sig").write_text(authority.sign(old, REGISTER, "two-banks", "banks.toml", 1_790_000_000 * 10**9))
    sycee("compliance", "sign", banks, "--key", place / "register.key")
    assert sycee("compliance", "trust", grants, banks, "--seen", seen).code == 0
    written = seen.read_text()
    assert sycee("compliance", "trust", grants, banks, "--seen", seen).code == 0
    shutil.copyfile(place / "old.sig", f"{banks}.sig")
    assert "2026-09-21 14:13:20+00:00" in sycee("compliance", "trust", grants, banks).out.replace("\n    ", " ")
    refused = sycee("compliance", "trust", grants, banks, "--seen", seen)
    assert (refused.code, refused.out) == (2, "")
    assert "is older than the signature of banks.toml seen on" in refused.err.replace("\n", " ")
    assert seen.read_text() == written
    seen.write_text("nonsense")
    assert sycee("compliance", "trust", grants, banks, "--seen", seen).code == 2
