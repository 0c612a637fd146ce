"""Predictions of pilots from the facts of their design, and scores against results that are published later."""
