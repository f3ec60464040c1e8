from __future__ import annotations

from hypothesis import settings

# Examples are timed by no one: a busy machine is not a bug. (On CI, Hypothesis's own profile
# applies, which also makes the examples the same in every run.)
if settings.get_current_profile_name() == "default":
    settings.register_profile("patient", deadline=None)
    settings.load_profile("patient")
