"""Figures and definitions shipped as TOML, each with its source."""
