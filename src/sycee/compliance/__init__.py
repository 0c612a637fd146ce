"""Who and what the money's data may touch, judged on declared facts under several regimes at once.

Here are the nouns and how they are read. `judging` gives verdicts, `routing` ways, `pages` reports; `enforcement`
remembers.
"""
