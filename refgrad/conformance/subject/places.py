"""An error in words, with the line of the person's own code where it came up."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

import refgrad

__all__ = ["said"]

_LIBRARIES = (sysconfig.get_path("stdlib"), str(Path(refgrad.__file__).parent))


def said(error: BaseException, longest: int) -> str:
    """``ValueError: its message (folder/file.py:3, in f)``, of at most about `longest` characters.

    The line is the last that lies neither in a library nor in refgrad, or the last of all where there is none.
    """
    try:
        text = str(error)
    except Exception:
        text = "(its message cannot be read)"
    name = type(error).__name__
    return (f"{name}: {text}" if text else name)[: longest - 200] + _place(error)


def _place(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({_short(error.filename)}:{error.lineno})"
    found = [(f.f_code.co_filename, line, f.f_code.co_name) for f, line in traceback.walk_tb(error.__traceback__)][1:]
    own = [frame for frame in found if _is_own(frame[0])] or found
    if not own:
        return ""
    file, line, function = own[-1]
    return f" ({_short(file)}:{line}{'' if function == '<module>' else f', in {function}'})"


def _is_own(file: str) -> bool:
    return not (file.startswith(("<", *_LIBRARIES)) or "site-packages" in file or "dist-packages" in file)


def _short(file: str) -> str:
    return "/".join(file.replace("\\", "/").split("/")[-2:])
