"""Compliance of a network under several regimes, judged on declared facts.

This package contains the model and its readers. `judging` evaluates rules, `routing` finds routes, `enforcement` stores
versions and decisions, `reports` writes findings.
"""
