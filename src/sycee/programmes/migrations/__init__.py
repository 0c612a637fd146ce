"""Alembic revisions of the tables of programmes, in order. A released revision is never changed.

There is no number 0004: revision 0005 follows 0003.
"""
