"""`sycee compliance screen` and `verify-record`, on a network of two banks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from tests.compliance.service.world import LAW, LIST, NETWORK, PLEDGE, changed
from tests.iso20022.messages import CUSTOMERS, UETR

from sycee.core.keys import SigningKey

KEY: Final = SigningKey.derive(bytes(32))
BICS: Final = [(f'id = "bank-{each.lower()}"', f'id = "bank-{each.lower()}"\nbic = "BANK{each * 4}"') for each in "ABC"]
OWNER: Final = ('id = "owner-a"', f'id = "owner-a"\nkey = "{KEY.public.key.hex()}"')


def flat(result: Any) -> str:
    """Return both outputs without the line breaks of a narrow terminal."""
    return " ".join(f"{result.out} {result.err}".split())


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, text in {
        "network.toml": changed(NETWORK, *BICS),
        "law.toml": LAW,
        "pledge.toml": PLEDGE,
        "excluded.toml": LIST,
        "message.xml": CUSTOMERS,
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    KEY.save(tmp_path / "key.pem")
    return tmp_path


def library(files: Path) -> tuple[Any, ...]:
    return ("--profile", files / "law.toml", "--profile", files / "pledge.toml", "--list", files / "excluded.toml")


def screened(sycee: Any, files: Path, *more: Any) -> Any:
    where = (files / "network.toml", files / "message.xml")
    return sycee("compliance", "screen", *where, *library(files), "--at", "2026-11-25", *more)


def proved(sycee: Any, files: Path) -> Path:
    assert screened(sycee, files, "--proofs", files / "proofs.jsonl", "--key", files / "key.pem").code == 0
    return files / "proofs.jsonl"


def test_screen_permits(sycee: Any, files: Path) -> None:
    result = screened(sycee, files, "--status", files / "status.xml")
    assert result.code == 0
    assert "pacs.008.001.08 MSG-1, judged as of 2026-11-25: 1 payment, 1 permitted, 0 refused" in flat(result)
    assert f"PERMITTED: {UETR}, EUR 1,234.50" in flat(result)
    assert "bank-a to bank-b: short-way" in result.out
    report = (files / "status.xml").read_text(encoding="utf-8")
    assert "<TxSts>ACCP</TxSts>" in report
    assert f"<OrgnlUETR>{UETR}</OrgnlUETR>" in report


def test_screen_refuses_with_the_reason(sycee: Any, files: Path) -> None:
    (files / "excluded.toml").write_text(LIST.replace("PARTY", "owner-b"), encoding="utf-8")
    result = screened(sycee, files, "--status", files / "status.xml")
    assert result.code == 1
    assert "REFUSED (AGNT)" in result.out
    assert "- bank-b is not admitted" in result.out
    assert "<Cd>AGNT</Cd>" in (files / "status.xml").read_text(encoding="utf-8")
    members = screened(sycee, files, "--json").json()
    assert [(each["payment"], each["outcome"], each["reason_code"]) for each in members["payments"]] == [
        (UETR, "refused", "AGNT")
    ]
    assert members["payments"][0]["decisions"][0]["outcome"] == "refused"


def test_a_bad_message_is_an_error_with_its_place(sycee: Any, files: Path) -> None:
    (files / "message.xml").write_text(CUSTOMERS.replace(">1234.50<", ">much<"), encoding="utf-8")
    result = screened(sycee, files)
    assert result.code == 2
    assert 'message.xml:19: FIToFICstmrCdtTrf/CdtTrfTxInf/IntrBkSttlmAmt: found "much"' in flat(result)


def test_outputs_are_no_inputs(sycee: Any, files: Path) -> None:
    assert screened(sycee, files, "--status", files / "message.xml").code == 2
    result = screened(sycee, files, "--proofs", files / "proofs.jsonl")
    assert (result.code, "--proofs and --key belong together" in result.err) == (2, True)


def test_a_proof_is_judged_again_where_all_of_it_is_at_hand(sycee: Any, files: Path) -> None:
    (files / "network.toml").write_text(changed(NETWORK, *BICS, OWNER), encoding="utf-8")
    path = proved(sycee, files)
    result = sycee("compliance", "verify-record", path, files / "network.toml", *library(files))
    assert result.code == 0
    assert f"PERMITTED: {UETR}, judged as of 2026-11-25, may change on 2027-01-01" in flat(result)
    assert f"signed by {KEY.public}: the key of owner-a" in flat(result)
    assert "network two-states 2026-11-01: the same at hand" in flat(result)
    assert "judged again: the same decision" in flat(result)


def test_a_proof_of_signed_declarations_is_judged_again_under_their_authority_file(sycee: Any, files: Path) -> None:
    network, grants = files / "network.toml", files / "grants.txt"
    network.write_text(changed(NETWORK, *BICS, OWNER), encoding="utf-8")
    grant = (
        f'holder = "register"\nkey = "{KEY.public.key.hex()}"\nroles = ["declare", "waive", "adopt"]\nsubjects = ["*"]'
    )
    head = 'network = "two-states"\ntitle = "Who may do what"\nmode = "signed-only"'
    grants.write_text(f"{head}\n[[grants]]\n{grant}\n", encoding="utf-8")
    assert sycee("compliance", "sign", network, "--key", files / "key.pem").code == 0
    path = files / "proofs.jsonl"
    made = screened(sycee, files, "--proofs", path, "--key", files / "key.pem", "--trust", grants)
    assert made.code == 0
    trusted = sycee("compliance", "verify-record", path, network, *library(files), "--trust", grants)
    assert (trusted.code, "judged again: the same decision" in flat(trusted)) == (0, True)
    network.with_name("network.toml.sig").unlink()
    unsigned = sycee("compliance", "verify-record", path, network, *library(files), "--trust", grants)
    assert (unsigned.code, "NOT KNOWN here" in flat(unsigned)) == (1, True)
    alone = sycee("compliance", "verify-record", path, "--trust", grants)
    assert (alone.code, "--trust needs the declarations" in flat(alone)) == (2, True)


def test_a_proof_without_anything_at_hand(sycee: Any, files: Path) -> None:
    path = proved(sycee, files)
    unknown = sycee("compliance", "verify-record", path)
    assert unknown.code == 1
    assert f"signed by {KEY.public}: NOT KNOWN here" in flat(unknown)
    assert "profile first-law 1: not at hand" in flat(unknown)
    assert "judged again: not done" in flat(unknown)
    known = sycee("compliance", "verify-record", path, "--key", KEY.public, "--json")
    assert known.code == 0
    (found,) = known.json()["proofs"]
    assert (found["payment"], found["known"], found["judged_again"]) == (UETR, True, False)
    assert {each["at_hand"] for each in found["versions"]} == {"absent"}


def test_another_version_at_hand_is_told(sycee: Any, files: Path) -> None:
    path = proved(sycee, files)
    (files / "network.toml").write_text(changed(NETWORK, *BICS, ("cost = 5", "cost = 6")), encoding="utf-8")
    words = (files / "network.toml", *library(files), "--key", KEY.public)
    result = sycee("compliance", "verify-record", path, *words)
    assert result.code == 0
    assert "network two-states 2026-11-01: ANOTHER ONE at hand" in flat(result)
    assert "profile first-law 1: the same at hand" in flat(result)
    assert "judged again: not done" in flat(result)


def test_a_forged_proof_is_refused(sycee: Any, files: Path) -> None:
    path = proved(sycee, files)
    made = json.loads(path.read_text(encoding="utf-8"))
    made["record"]["payment"] = "another"
    path.write_text(json.dumps(made), encoding="utf-8")
    result = sycee("compliance", "verify-record", path, "--key", KEY.public)
    assert result.code == 3
    assert "the proof was changed, or another key signed it" in flat(result)


@pytest.mark.parametrize("content", ["", "\n", "nothing", "{}"])
def test_a_file_without_proofs_is_an_error(sycee: Any, files: Path, content: str) -> None:
    path = files / "proofs.jsonl"
    path.write_text(content, encoding="utf-8")
    assert sycee("compliance", "verify-record", path).code == 2
