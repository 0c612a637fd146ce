"""People and institutions, their duties and keys, and proposals that several persons sign.

The ledger alone decides whose signature moves money (docs/reference/authority.md). Duties decide who may request an
action, and which two persons must not be one. Names and papers of persons are stored elsewhere: here are ids only.
"""
