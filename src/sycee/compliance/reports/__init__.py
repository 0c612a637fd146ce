"""Reports of verdicts as text, JSON, SARIF, JUnit XML, HTML, and a picture of the network.

Each format is a pure function from a judged network to text; `summary` has the parts that all formats share. No report
says "legal": a network meets a profile on declared facts as of a day, or it does not.
"""
