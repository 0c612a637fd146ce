"""Settings for every test: hypothesis draws the same examples on every run, so a failure is never a matter of luck."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "seeded",
    derandomize=True,
    database=None,
    deadline=None,  # a cold kernel compiles inside the first example
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],  # two shared cores are slow at times
)
settings.load_profile("seeded")
