"""``refgrad demo``: four implementations such as people write, told apart by the real machinery.

Each subject is an ordinary small NumPy file beside this one; it knows nothing of refgrad.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refgrad.conformance.report.terminal import show
from refgrad.conformance.verification import verify

__all__ = ["CASES", "Case", "main"]

EXAMPLES = 60


@dataclass(frozen=True)
class Case:
    """One subject of the demo, and what the kit should find."""

    title: str
    file: str
    function: str
    contract: str
    grades: tuple[str, ...]

    @property
    def target(self) -> str:
        """The target as `verify` takes it."""
        return f"{__name__}.{self.file}:{self.function}"


CASES = (
    Case("A MAML that differentiates through its adaptation", "second_order_maml", "maml", "maml_gradient",
         ("accurate", "exact")),
    Case("A MAML that does not", "first_order_maml", "maml", "maml_gradient", ("variant:fomaml",)),
    Case("A min-norm solver with the widely copied formula for two tasks", "clamped_min_norm", "min_norm", "min_norm",
         ("variant:clamp-0.999",)),
    Case("A Fisher diagonal from the gradient of the batch", "batch_mean_fisher", "fisher_diagonal", "fisher_diagonal",
         ("variant:batch-mean-squared",)),
)  # fmt: skip


def main(console: Any = None) -> int:
    """Verify the four subjects and print what is found; 0 if that is what is there.

    Parameters
    ----------
    console : rich.console.Console, optional
        Where to print.
    """
    from rich.console import Console
    from rich.rule import Rule

    console = console or Console(highlight=False)
    seen = 0
    for number, case in enumerate(CASES, 1):
        title = f"{number}. {case.title}"
        console.print(Rule(title, align="left") if console.is_terminal else f"\n--- {title}", markup=False)
        report = verify(case.target, case.contract, max_examples=EXAMPLES)
        show(report, console, brief=True)
        seen += report.grade in case.grades
    folder = Path(__file__).parent
    console.print(f"\n{seen} of {len(CASES)} as they should be. The four files: {folder}", markup=False, soft_wrap=True)
    console.print("Now your own: refgrad verify path/file.py:function --contract maml_gradient", markup=False)
    return 0 if seen == len(CASES) else 1
