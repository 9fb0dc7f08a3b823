"""Whatever a subject does to its process, the judge answers in time, within bounds, and leaves nothing behind."""

import os
import resource
import sys
import time
import uuid
from pathlib import Path

import pytest

from refgrad.conformance import verify
from refgrad.conformance.subject import process
from refgrad.conformance.subject.channel import Channel

HOSTILE = Path(__file__).parent / "subjects" / "hostile"
RIGHT = [
    "closed_stdout", "session_sleeper", "double_fork", "flood_of_lines", "flood_from_a_thread", "replaced_stdout",
    "busy_threads", "patched_json", "patched_generators", "no_more_imports",
]  # fmt: skip
"""Those that answer rightly all the same."""
OUTCOMES = {
    "kills_its_parent": {"crashed"},
    "sleeper_then_death": {"crashed"},
    "own_session": {"timeout"},
    "bytes_without_newline": {"bad_reply"},
    "drip_without_newline": {"timeout"},
    "crafted_replies": {"bad_reply"},
    "broken_json": {"bad_reply"},
    "huge_reply": {"wrong_shape"},
    "huge_message": {"raised"},
    "infinite": {"not_finite"},
    "huge_numbers": {"failed"},
    "leaves_at_once": {"crashed"},
    "system_exit": {"raised"},
    "recursion": {"raised"},
    "deep_recursion": {"crashed", "raised"},
    "memory_hog": {"raised"},
    "closes_everything": {"crashed"},
    "closes_everything_and_hangs": {"crashed"},
    "ignores_signals": {"timeout"},
    "patched_encoder": {"bad_reply"},
    "collected": {"crashed", "bad_reply"},
    "strange_object": {"raised"},
    "endless_import": {"import_bad_reply"},
    "stops_itself": {"timeout"},
}
"""What comes of the others; a problem that passes by chance does not count."""


def processes(mark):
    """The processes whose environment carries the mark."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if mark.encode() in Path(f"/proc/{name}/environ").read_bytes():
                found.append(int(name))
        except OSError:
            continue
    return found


@pytest.fixture
def mark(monkeypatch):
    """A mark that every process started in this test carries."""
    text = uuid.uuid4().hex
    monkeypatch.setenv("MARK", text)
    return text


def test_every_hostile_file_is_expected_to_give_something():
    assert {path.stem for path in HOSTILE.glob("*.py")} == {*RIGHT, *OUTCOMES}
    assert len([*RIGHT, *OUTCOMES]) == len({*RIGHT, *OUTCOMES})


@pytest.mark.skipif(sys.platform != "linux", reason="processes are counted in /proc")
@pytest.mark.parametrize("name", [*RIGHT, *OUTCOMES])
def test_a_hostile_subject_gets_its_outcome_in_time_and_leaves_no_process(square, name, mark, monkeypatch):
    monkeypatch.setattr(process, "START_LIMIT", 40.0 if name in RIGHT else 3.5)
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    report = verify(f"{HOSTILE / name}.py:square", square, max_examples=12, timeout=1.0)
    assert time.monotonic() - begun < 100
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**17  # KiB
    assert processes(mark) == []
    if name in RIGHT:
        assert (report.exit_code, report.outcomes) == (0, {"passed": report.ran})
    else:
        assert report.exit_code in (1, 3)
        assert {*report.outcomes} - {"passed"} <= OUTCOMES[name]
        assert {*report.outcomes} & OUTCOMES[name]
        assert len(str(report.errors)) < 20_000


def test_a_mark_is_seen_while_its_process_lives(mark):
    channel = Channel(["[]", "/nowhere"], dict(os.environ))
    try:
        assert channel.process.pid in processes(mark)
    finally:
        channel.close()
    assert processes(mark) == []
