"""A pytest plugin for runs of which only the outcome counts: Hypothesis does not simplify what it finds."""

from hypothesis import Phase, settings

settings.register_profile("quickly", phases=(Phase.explicit, Phase.generate), database=None, deadline=None)
settings.load_profile("quickly")
