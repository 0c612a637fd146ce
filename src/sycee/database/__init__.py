"""SQL for what a journal must not hold: engines, transactions, migrations. It knows no room's tables.

SQLite in a file unless a URL names a PostgreSQL. A room that keeps something has `tables.py` and a folder of
migrations, and hands them in as a `Schema`. Everything here is SQLAlchemy Core; there are no objects that follow rows.
"""
