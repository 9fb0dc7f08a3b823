"""The process between the judge and the subject's: it waits, and ends whatever the subject's process leaves behind.

Run as a program, and on Linux only, it forks before anything else is imported: the copy becomes the worker, and this
process becomes the one to which every orphan below it is handed, whatever session or group that has moved to. It ends
as the worker ended, after every descendant; on SIGTERM, and when the judge dies, it ends them all at once.
"""

from __future__ import annotations

import json
import os
import signal
import sys

__all__ = ["main", "supervise"]

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    """Become the worker; the arguments are the subject's module path, as JSON, and the folder of this refgrad."""
    path, home = sys.argv[1:]
    del sys.argv[1:]  # which a subject that reads its command line is to find empty
    if sys.platform == "linux":
        supervise()
    sys.path.insert(0, home)
    import refgrad  # noqa: F401 - this very copy, whatever the path below would find

    sys.path[:] = json.loads(path)
    from refgrad.conformance.subject.worker import main as work

    work()


def supervise() -> None:
    """Return in a new process; in this one, wait for that, end all descendants and exit as it did."""
    import ctypes

    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: _leave(0))
    worker = os.fork()
    if worker == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        return
    signal.signal(signal.SIGABRT, signal.SIG_IGN)  # meant for the worker, whose traceback it asks for
    os.close(0)
    os.close(1)  # so that the judge sees it when the worker closes its end
    status = None
    while status is None:
        pid, found = os.waitpid(-1, 0)
        status = found if pid == worker else None
    _leave(status)


def _leave(status: int) -> None:
    _end_descendants()
    if os.WIFSIGNALED(status):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status))


def _end_descendants() -> None:
    """Kill children until there are none: those of a killed one become children of this process."""
    while True:
        for pid in _children():
            try:
                os.kill(pid, signal.SIGKILL)
            except PermissionError:  # it has become another user's
                continue
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children() -> list[int]:
    """The processes whose parent this one is, zombies too."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                parent = int(file.read().rpartition(b")")[2].split()[1])
        except OSError:  # it has ended meanwhile
            continue
        if parent == os.getpid():
            found.append(int(name))
    return found


if __name__ == "__main__":
    main()
