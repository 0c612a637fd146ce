"""Reports of verdicts for people and for programs: text, JSON, SARIF, JUnit, HTML, and a picture of the network.

Each is a pure function: what was declared, the regimes and the report go in, text comes out. `standing` holds what all
of them say alike. None of them says "legal": a report meets a profile on declared facts as of a day, or it does not.
"""
