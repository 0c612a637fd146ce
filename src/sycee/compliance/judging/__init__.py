"""Evaluation of rules: conditions over facts, ownership, conflicts, findings, and golden cases."""
