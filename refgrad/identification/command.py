"""``refgrad identify FILE:FUNCTION``: the question of a function without arguments that returns them."""

from __future__ import annotations

import sys
from collections.abc import Callable

from refgrad.conformance.subject.places import said
from refgrad.conformance.subject.targets import load
from refgrad.errors import SubjectNotFound, UsageError
from refgrad.identification.identify import identify

__all__ = ["identified"]

NOT_RUN = 3


def identified(target: str, contract: str | None, json: str | None, progress: Callable[[int, int], None] | None) -> int:
    """Print the answer, write it to the file `json`, and return the exit code."""
    try:
        given = load(target)()
    except SubjectNotFound as error:
        raise UsageError(str(error)) from error
    except UsageError:
        raise
    except Exception as error:
        print(f"refgrad: {target} could not be run: {said(error, 2000)}", file=sys.stderr)
        return NOT_RUN
    if not isinstance(given, dict):
        raise UsageError(f"expected {target} to return a dict of arguments; got {type(given).__name__}")
    found = identify(**given | ({"contract": contract} if contract else {}), progress=progress)
    print(found)
    if json:
        found.to_json(json)
    return found.exit_code
