"""Self-contained HTML pages with tables and plots, independent of their subject.

`page` has the blocks of a page and writes it as one HTML file; `plots` and `sankey` draw; `chart` has what they share.
"""
