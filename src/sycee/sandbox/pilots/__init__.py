"""Real pilots as files: `description` reads the facts of a design, `published` the results that were published.

`town` makes the synthetic city of a pilot, and `simulation` the outcomes that a file asks for.
"""
