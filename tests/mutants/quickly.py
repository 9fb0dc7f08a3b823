"""A pytest plugin for runs of which only the outcome counts: Hypothesis does not simplify what it finds.

It draws the same examples in each run, so that a mutant has the same outcome in each.
"""

from hypothesis import Phase, settings

PHASES = (Phase.explicit, Phase.generate)
settings.register_profile("quickly", phases=PHASES, database=None, deadline=None, derandomize=True)
settings.load_profile("quickly")
