"""Comparison of an archive with its ledger: the bytes of every file, and every balance."""

from __future__ import annotations

from pathlib import Path

from sycee.archive.balances import Balances, balances_at
from sycee.archive.history_source import Source, reader_of
from sycee.archive.manifest import Manifest
from sycee.archive.parquet_files import digest_of
from sycee.archive.query import Query
from sycee.core import ids
from sycee.core.errors import require


def check(ledger: Source, place: str | Path) -> tuple[str, ...]:
    """Compare an archive with its ledger as of the archive's newest frame; return one sentence per passed check.

    O(size of the archive). Raises IntegrityError for the first difference.
    """
    source = reader_of(ledger)
    with Query(place) as query:
        manifest = query.manifest
        require(manifest.ledger == source.ledger_id.hex(), f"{query.folder} is the archive of another ledger")
        for entry in manifest.files:
            path = query.folder / entry.path
            require(digest_of(path) == entry.blake3, f"{path} was changed after the export")
        _check_counts(query, manifest)
        with source.reading() as state:
            currencies = list(state.zones)
        compared = sum(
            _check_balances(query, balances_at(source, number, frame=manifest.frame)) for number in currencies
        )
    return (
        f"{len(manifest.files):,} files have the digests of the manifest",
        f"{manifest.movements:,} movements and {manifest.operations:,} operations are present, each once",
        f"{compared:,} balances after frame {manifest.frame:,}, summed from the files, equal the ledger's; sum zero",
    )


def _check_counts(query: Query, manifest: Manifest) -> None:
    """Check that the archive has every movement and every operation exactly once."""
    ((count, distinct, last),) = query.run(
        "SELECT count(*), count(DISTINCT number), coalesce(max(number), 0) FROM movements"
    ).values()
    require(
        (count, distinct, last) == (manifest.movements,) * 3,
        f"{query.folder} has {count} movements up to number {last}, not {manifest.movements}",
    )
    ((operations,),) = query.run("SELECT count(DISTINCT operation) FROM operations").values()
    require(operations == manifest.operations, f"{query.folder} has {operations} operations, not {manifest.operations}")


def _check_balances(query: Query, ours: Balances) -> int:
    sql = f"SELECT account, balance FROM balances WHERE currency = '{ours.currency}'"  # noqa: S608 - a code
    found: dict[str, int] = {account: balance for account, balance in query.run(sql).values()}  # noqa: C416 - lists
    expected = {
        ids.format(account): balance for account, balance in zip(ours.accounts, ours.balances.tolist(), strict=True)
    }
    # The archive lacks accounts that were opened after the export.
    differ = [account for account, balance in expected.items() if found.get(account, 0) != balance]
    differ += [account for account in found if account not in expected]
    require(not differ, f"{query.folder}: account {differ[0] if differ else ''} has another balance in the ledger")
    purses = {
        (programme, member): balance
        for programme, member, balance in query.run("SELECT programme, member, balance FROM purses").values()
    }
    for purse, balance in zip(
        zip(ours.programmes.tolist(), ours.members.tolist(), strict=True), ours.purses.tolist(), strict=True
    ):
        require(purses.get(purse, 0) == balance, f"{query.folder}: purse {purse} has another balance in the ledger")
    return len(expected) + ours.purses.size
