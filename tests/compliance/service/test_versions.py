"""Stored versions of declarations, profiles, lists and waivers."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from tests.compliance.service.world import DAY_NS, NETWORK, NEXT_YEAR, NOON, TODAY, Desk
from tests.database.places import opened

from sycee.compliance.enforcement import tables, versions
from sycee.compliance.enforcement.service import Compliance
from sycee.core.documents import DocumentError
from sycee.core.errors import IntegrityError, UnavailableError, UsageError
from sycee.database.migrations import upgrade
from sycee.database.transactions import reading, write

YESTERDAY = TODAY - timedelta(days=1)


def rows(desk: Desk) -> dict[str, int]:
    """Return the number of rows of each table."""
    with reading(desk.engine) as connection:
        count = sqlalchemy.func.count()
        return {
            table.name.removeprefix("compliance_"): connection.scalar(sqlalchemy.select(count).select_from(table)) or 0
            for table in tables.METADATA.sorted_tables
        }


# --- tables ---


def test_migrations_create_the_tables_of_this_release(where: str) -> None:
    with opened(where) as engine:
        upgrade(engine, tables.SCHEMA)
        with engine.connect() as connection:
            options = {"version_table": tables.SCHEMA.version_table, "compare_type": True}
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, tables.METADATA) == []


def test_rows_are_only_added(desk: Desk) -> None:
    desk.compliance.admit("bank-a", by="desk")
    refused = desk.compliance.admit("bank-c", by="desk")
    desk.compliance.screen("retail", by="desk")
    number = desk.compliance.appeal(refused.digest, reason="please", by="bank-c")
    desk.compliance.decide_appeal(number, granted=True, role="officer", reason="for once", until=NEXT_YEAR, by="o")
    desk.compliance.rejudge(by="desk")
    before = rows(desk)
    assert all(before.values())
    for table in tables.METADATA.sorted_tables:
        column = next(each for each in table.columns if not each.primary_key or len(table.columns) == 1)
        for statement in (table.delete(), table.update().values({column: table.c[column.name]})):
            with pytest.raises(IntegrityError, match="append-only"):
                write(desk.engine, lambda connection, said=statement: connection.execute(said))
    assert rows(desk) == before


def test_a_service_needs_its_tables(where: str) -> None:
    with opened(where) as engine, pytest.raises(UnavailableError, match="has no tables of compliance yet") as caught:
        Compliance(engine)
    assert "migrations.upgrade" in str(caught.value.hint)


# --- declarations ---


def test_a_version_is_kept_as_it_was_written(desk: Desk) -> None:
    (version,) = desk.compliance.versions("network")
    with reading(desk.engine) as connection:
        (file,) = versions.files_of(connection, version)
    assert file.content.decode() == NETWORK
    assert (version.number, version.who, version.at_ns) == (1, "declarations desk", NOON)
    assert version.digest == desk.compliance.network().digest == desk.again().network().digest


def test_the_same_again_is_no_new_version(desk: Desk) -> None:
    desk.use()  # a version has the paths of its files, and the prepared one was made in another folder
    before = rows(desk)
    desk.declare()
    desk.compliance.declare({"network.toml": NETWORK}, by="declarations desk")  # as a text in place of bytes
    desk.use()
    assert rows(desk) == before


def test_other_text_of_the_same_content_is_a_new_version_of_the_same_digest(desk: Desk) -> None:
    desk.declare(('title = "Two states"', 'title  = "Two states"'))
    first, second = desk.compliance.versions("network")
    assert first.digest == second.digest
    assert rows(desk)["contents"] == rows(desk)["files"]


def test_an_unchanged_text_is_stored_once(desk: Desk) -> None:
    before = rows(desk)
    desk.use(("2027-01-01", "2027-02-01"))  # law and pledge are unchanged
    assert rows(desk)["files"] == before["files"] + 3
    assert rows(desk)["contents"] == before["contents"] + 1


@pytest.mark.parametrize("wrong", ["state = 1", "sate = 2", "[[["])
def test_an_invalid_declaration_changes_nothing(small: Desk, wrong: str) -> None:
    before = rows(small)
    with pytest.raises(DocumentError, match=r"network\.toml"):
        small.declare(('state = "AA"', wrong))
    with pytest.raises(UsageError, match="by is empty"):
        small.compliance.declare({"network.toml": NETWORK.encode()}, by=" ")
    with pytest.raises(UsageError, match='no profile "first-low"'):
        small.compliance.use(["first-low"], by="officer")
    assert rows(small) == before


def test_folders_and_shipped_profiles(small: Desk, tmp_path: Path) -> None:
    folder = tmp_path / "network"
    folder.mkdir()
    head, _, rest = NETWORK.partition("[[participants]]")
    (folder / "a.toml").write_text(head)
    (folder / "b.toml").write_text("[[participants]]" + rest)
    before = small.compliance.network().digest
    small.compliance.declare([folder], by="desk")
    assert small.compliance.network().digest == before
    small.compliance.use(["rbi-payment-data-2018", "gdpr-transfers"], by="officer")
    assert [each.id for each in small.compliance.library().profiles] == ["rbi-payment-data-2018", "gdpr-transfers"]
    assert small.again().library().digest == small.compliance.library().digest


def test_as_of_an_earlier_day(desk: Desk) -> None:
    first = desk.compliance.network().digest
    desk.clock.advance(DAY_NS)
    desk.declare(("exit_terms = false", "exit_terms = true"))
    second = desk.compliance.network().digest
    assert first != second
    assert desk.compliance.network(as_of=TODAY).digest == first
    assert desk.compliance.network(as_of=TODAY + timedelta(days=1)).digest == second
    versions_of = desk.compliance.versions("network")
    assert [desk.again().network(each).digest for each in versions_of] == [first, second]
    with pytest.raises(UsageError, match="is of the network"):
        desk.compliance.library(versions_of[0])
    with pytest.raises(UsageError, match="there was no network on 2026-11-24"):
        desk.compliance.network(as_of=YESTERDAY)
    with pytest.raises(UsageError, match="there was no library on 2026-11-24"):
        desk.compliance.library(as_of=YESTERDAY)


def test_changed_texts_are_found(desk: Desk) -> None:
    """The owner of the database can drop a trigger; the digest still shows the change."""
    sqlite = "://" not in desk.where
    drop = "DROP TRIGGER compliance_contents_no_update" + ("" if sqlite else " ON compliance_contents")
    forge = "UPDATE compliance_contents SET content = replace(content, 'exit_terms = false', 'exit_terms = true')"
    for statement in (drop, forge):
        write(desk.engine, lambda connection, said=statement: connection.exec_driver_sql(said))
    with pytest.raises(IntegrityError, match="version 1 of the network was stored with the digest"):
        desk.again().network()


def test_after_a_release_that_reads_the_texts_differently(desk: Desk) -> None:
    """A version stored by another engine, with another digest, is read again on request."""
    desk.compliance.admit("bank-a", by="desk")
    assert desk.compliance.renew(by="operator")[0].number == 1  # nothing has changed yet
    network = desk.compliance.network()
    with reading(desk.engine) as connection:
        files = versions.files_of(connection, desk.compliance.versions("network")[0])

    def by_another(connection: sqlalchemy.Connection) -> None:
        row = {"number": 3, "kind": "network", "digest": "0" * 64, "engine": "sycee.compliance.v0"}
        connection.execute(tables.VERSIONS.insert().values(row | {"who": "desk", "at_ns": NOON}))
        row = {"version": 3, "position": 0, "role": "declaration", "name": "n.toml", "content": files[0].digest}
        connection.execute(tables.FILES.insert().values(row))

    write(desk.engine, by_another)
    with pytest.raises(UnavailableError, match=r"was stored by the engine sycee\.compliance\.v0") as caught:
        desk.compliance.rejudge(by="night")
    assert "renew()" in str(caught.value.hint)
    renewed, library = desk.compliance.renew(by="operator")
    assert (renewed.number, renewed.digest) == (4, network.digest)
    assert library.number == 2
    assert desk.compliance.rejudge(by="night") == ()


# --- waivers ---


def test_a_waiver_is_a_version_of_the_network(desk: Desk) -> None:
    before = desk.compliance.network()
    version = desk.compliance.waive(
        "first-law/exit",
        "bank-c",
        role="head of compliance",
        reason="until its terms are out",
        until=NEXT_YEAR,
        by="eve",
    )
    after = desk.compliance.network()
    assert version.digest == after.digest != before.digest
    (waiver,) = after.waivers
    assert (waiver.role, waiver.from_date, waiver.until_date) == ("head of compliance", TODAY, NEXT_YEAR)
    assert desk.again().network() == after  # read back, with waivers
    desk.declare(("exit_terms = false", "exit_terms = false\noperates_in = []"))
    assert desk.compliance.network().waivers == (waiver,)


def test_the_newest_waiver_is_valid(desk: Desk) -> None:
    def waive(until: date) -> None:
        desk.compliance.waive("first-law/exit", "bank-c", role="head", reason="it is late", until=until, by="eve")

    waive(NEXT_YEAR)
    waive(TODAY)  # revokes it
    (waiver,) = desk.compliance.network().waivers
    assert not waiver.in_force(TODAY)
    assert desk.again().network().digest == desk.compliance.network().digest
    assert rows(desk)["waivers"] == 2


@pytest.mark.parametrize(
    ("rule", "subject", "role", "until", "message"),
    [
        ("first-law/exist", "bank-c", "head", NEXT_YEAR, "no rule first-law/exist"),
        ("first-law/exit", "bank-x", "head", NEXT_YEAR, "no subject bank-x"),
        ("first-law/exit", "retail @ bank-x", "head", NEXT_YEAR, "no subject bank-x"),
        ("first-law/exit", "hub-a", "head", NEXT_YEAR, r"exit is not about hub-a \(facility\)"),
        ("first-law/exit", "retail @ bank-c", "head", NEXT_YEAR, "exit is not about retail @ bank-c"),
        ("first-law/exit", "retail", "head", NEXT_YEAR, r"exit is not about retail \(flow\)"),
        ("first-law/carrier", "retail @ hub-a", "head", NEXT_YEAR, "carrier is not about retail @ hub-a"),
        ("first-law/carrier", "short-way @ short-way", "head", NEXT_YEAR, "carrier is not about short-way @"),
        ("first-law/exit", "bank-c", "", NEXT_YEAR, "role is empty"),
        ("first-law/exit", "bank-c", "head", YESTERDAY, "ends before it begins"),
        ("first-law/exit", "bank-c", "head", TODAY + timedelta(days=367), "counts for at most 366 days"),
    ],
)
def test_invalid_waivers(small: Desk, rule: str, subject: str, role: str, until: date, message: str) -> None:
    before = rows(small)
    with pytest.raises(UsageError, match=message) as caught:
        small.compliance.waive(rule, subject, role=role, reason="why", until=until, by="eve")
    assert caught.value.hint
    assert rows(small) == before


def test_a_waiver_can_be_revoked_after_its_rule_and_subject_were_removed(desk: Desk) -> None:
    def waive(until: date) -> None:
        desk.compliance.waive("first-law/carrier", "short-way", role="head", reason="so", until=until, by="eve")

    waive(NEXT_YEAR)
    law = desk.folder / "law.toml"
    law.write_text(law.read_text().replace('id = "carrier"', 'id = "who-carries"'))
    desk.use()
    desk.declare(('id = "short-way"', 'id = "shorter"'))
    with pytest.raises(UsageError, match="no rule first-law/carrier"):
        waive(NEXT_YEAR)
    waive(TODAY)
    assert [each.in_force(TODAY) for each in desk.compliance.network().waivers] == [False]


@pytest.mark.parametrize("subject", ["short-way", "retail", "retail @ short-way"])
def test_a_path_rule_is_waived_for_a_place_a_flow_or_both(small: Desk, subject: str) -> None:
    small.use(("PARTY", "carrier-two"))
    for each in "ab":
        small.compliance.admit(f"bank-{each}", by="desk")
    small.compliance.waive("first-law/carrier", subject, role="head", reason="so", until=NEXT_YEAR, by="eve")
    answer = small.compliance.screen("retail", by="gateway").result
    assert answer.route is not None
    assert answer.route.via == ("short-way",)
