"""Experiments in parts: the result of each is written when it is there, so that a run may be stopped and goes on."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from refgrad.errors import UsageError

__all__ = ["Experiment", "folder_of", "run"]

Results = dict[str, Any]
"""What the parts have computed, by their names; plain data."""


@dataclass(frozen=True)
class Experiment:
    """A program in parts that are independent of one another.

    Attributes
    ----------
    name, summary : str
    settings : callable
        ``settings(quick, seed)``: the numbers that decide what is computed, as plain data.
    parts : callable
        ``parts(settings)``: the parts' names, in order.
    compute : callable
        ``compute(settings, part)``: what a part gives, as plain data.
    table : callable
        ``table(settings, results)``: what came out, as text.
    draw : callable
        ``draw(settings, results)``: a matplotlib figure of it.
    """

    name: str
    summary: str
    settings: Callable[[bool, int], dict[str, Any]]
    parts: Callable[[Mapping[str, Any]], list[str]]
    compute: Callable[[Mapping[str, Any], str], Results]
    table: Callable[[Mapping[str, Any], Results], str]
    draw: Callable[[Mapping[str, Any], Results], Any]


def folder_of(experiment: Experiment, quick: bool) -> Path:
    """Where a run is written unless another folder is named: ``refgrad-runs/NAME``, and ``quick`` in it.

    Parameters
    ----------
    experiment : Experiment
    quick : bool
    """
    return Path("refgrad-runs", experiment.name, *["quick"] * quick)


def run(
    experiment: Experiment,
    *,
    quick: bool = False,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Results:
    """What all parts have computed; those that `out` holds already are not run again.

    Parameters
    ----------
    experiment : Experiment
    quick : bool
        Whether a smaller one will do.
    seed : int
        Of the first repetition; the others count on.
    out : path, optional
        The folder for ``results.json`` and the picture; see `folder_of`.
    progress : callable, optional
        ``progress(done, planned)``, called after each part.

    Raises
    ------
    UsageError
        If the folder holds a run with other settings, or cannot be written.
    """
    settings = experiment.settings(quick, seed)
    folder = folder_of(experiment, quick) if out is None else Path(out)
    file = folder / "results.json"
    record = _begun(file, experiment.name, settings)
    parts = experiment.parts(settings)
    for k, part in enumerate(parts):
        if progress is not None:
            progress(k, len(parts))
        if part not in record["parts"]:
            record["parts"][part] = experiment.compute(settings, part)
            _write(file, record)
    if progress is not None:
        progress(len(parts), len(parts))
    figure = experiment.draw(settings, record["parts"])
    for ending in ("svg", "png"):
        figure.savefig(folder / f"{experiment.name}.{ending}", dpi=150)
    return record["parts"]  # type: ignore[no-any-return]


def _begun(file: Path, name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The record of an earlier run of the same settings, or a new one."""
    settings = json.loads(json.dumps(settings))  # as it comes back: tuples are lists
    try:
        record = json.loads(file.read_text()) if file.exists() else None
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {file}: {error}; remove it, or name another folder with --out") from error
    if record is None:
        packages = {package: version(package) for package in ("refgrad", "numpy", "scipy")}
        record = {"experiment": name, "settings": settings, "parts": {}}
        record["environment"] = {"python": platform.python_version(), **packages}
        _write(file, record)
    elif (record.get("experiment"), record.get("settings")) != (name, settings):
        raise UsageError(
            f"{file} is of another run, {record.get('experiment')} with other settings; name another folder with "
            "--out, or remove this one"
        )
    return record  # type: ignore[no-any-return]


def _write(file: Path, record: dict[str, Any]) -> None:
    """At once or not at all: a run that is killed leaves the file before."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_suffix(".part")
        beside.write_text(json.dumps(record, indent=1) + "\n")
        os.replace(beside, file)
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error}; name another folder with --out") from error
