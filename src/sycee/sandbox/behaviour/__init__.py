"""Behaviour of persons in a programme: parameters with priors, one decision per person and day, structures.

`decide.decide` is the plain rule, and `kernel` computes the same integers in compiled code. All shares are parts per
million, all amounts are price steps (`Design.price_step` minor units), and every random number is a hash of seed,
person, day and stream (`draws`). docs/reference/sandbox-behaviour.md is exact.
"""
