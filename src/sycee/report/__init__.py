"""Self-contained pages with tables and plots, for people who look before they read.

`page` holds what a page is made of and writes it as one HTML file that needs no network; `plots` makes the figures.
Neither knows what the page is about.
"""
