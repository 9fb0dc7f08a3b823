"""How a terminal shows a report: plain where it is a file, in colour where it is a screen."""

from __future__ import annotations

import textwrap
from typing import Any

from refgrad.conformance.report.report import Report, headline, sections, text

__all__ = ["show"]

_COLOURS = {0: "green", 1: "red", 3: "red", 4: "yellow", 5: "yellow"}


def show(report: Report, console: Any, brief: bool = False) -> None:
    """Print the report on a rich console; in colour where that is a terminal."""
    if not console.is_terminal:
        console.print(text(report, brief), markup=False, highlight=False, soft_wrap=True)
        return
    from rich.syntax import Syntax
    from rich.text import Text

    colour = _COLOURS.get(report.exit_code, "red")
    console.print(Text(headline(report), style="bold"))
    for i, (title, body) in enumerate(sections(report, brief)):
        console.print()
        if i == 0:
            console.print(Text(f"  {title}", style=f"bold {colour}"))
        else:
            console.print(Text(f"  {title}", style="bold cyan"))
        if title.startswith("Regression"):
            source = textwrap.indent("\n".join(body), "    ")
            console.print(Syntax(source, "python", theme="ansi_dark", background_color="default"))
        else:
            for line in body:
                console.print(Text(f"    {line}"), soft_wrap=True)
