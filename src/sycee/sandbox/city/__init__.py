"""Synthetic cities: published marginals fitted together into persons, households, zones and merchants."""
