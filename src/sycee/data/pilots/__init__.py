"""Pilots as programmes: terms and published results of real rounds, each figure with its source beside it."""

from __future__ import annotations

from importlib import resources


def names() -> tuple[str, ...]:
    """The names of the pilots shipped, sorted."""
    files = resources.files(__name__).iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def content(name: str) -> bytes:
    """The TOML of the pilot `name` (one of `names`) as bytes."""
    return resources.files(__name__).joinpath(f"{name}.toml").read_bytes()
