"""SQL storage for data outside the journal: engines, transactions, migrations, and work that joins SQL and ledger.

The database is an SQLite file, or the PostgreSQL of a URL. A package with stored data has `tables.py` and a folder of
migrations, and passes them as a `Schema`. Everything uses SQLAlchemy Core, without an object-relational mapper.
"""

from sycee.core.extras import extra

with extra("bank"):
    import alembic  # noqa: F401
    import sqlalchemy  # noqa: F401
