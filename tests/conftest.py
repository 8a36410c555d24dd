"""What holds for all tests: no example of Hypothesis has a time to keep, since machines differ in their mood."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
