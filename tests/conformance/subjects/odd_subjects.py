"""Subjects for the contract ``square``: right, wrong, and misbehaving in every way the kit has a word for."""

import mmap
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np


def right(x):
    return x * x


def right_by_power(x):
    return np.exp(2 * np.log(np.abs(x) + (x == 0))) * (x != 0)


def cube(x):
    return x**3


def cube_of_negatives(x):
    return x**3 if x[0] < 0 else x**2


def exponential(x):
    return np.exp(x)


def twice(x):
    return 2 * x * x


def twice_if_long(x):
    return 2 * x * x if len(x) > 1 else x * x


def cancelling(x):
    big = x.dtype.type(2.0**20)
    return (x + big) ** 2 - big * big - 2 * big * x


def slightly_off(x):
    return x * x * x.dtype.type(1 + 2.0**-17)


def plus_sine(x):
    return x * x + np.sin(x) / 3


def scaled_by(x, factor=1.0):
    return factor * x * x


def raises(x):
    raise ValueError("no squares today")


def raises_for_negatives(x):
    if (x < 0).any():
        raise ValueError("negative")
    return x * x


def leaves(x):
    sys.exit(7)


def hangs(x):
    while True:
        time.sleep(0.01)


CALLS = []


def hangs_after_five(x):
    CALLS.append(1)
    if len(CALLS) > 5:
        time.sleep(3600)
    return x * x


def hangs_once(x):
    if x[0] == 2:
        time.sleep(3600)
    return x * x


def not_a_number(x):
    return np.where(x == 0, 0.0, np.nan)


def column(x):
    return (x * x)[:, None]


def nothing(x):
    x * x


def text(x):
    return "x squared"


def single(x):
    return (x * x).astype(np.float32)


def complex_square(x):
    return (x * x).astype(complex)


def random_square(x):
    return x * x + random.SystemRandom().random()


def prints_rubbish(x):
    print('{"kind": "value", "hex": ["0x1p+0"]}', flush=True)
    os.write(1, b"\x00\xff rubbish \n" * 100)
    os.write(2, b"more of it\n")
    sys.stderr.write("and more\n")
    return x * x


def reads_input(x):
    sys.stdin.read()
    return x * x


def kills_itself(x):
    os.kill(os.getpid(), signal.SIGKILL)


def kills_itself_for_two(x):
    if x[0] == 2:
        os._exit(3)
    return x * x


def takes_all_memory(x):
    mmap.mmap(-1, 2**36, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ)  # address space only
    return x * x


def changes_its_input(x):
    x *= x
    return x


def leaves_a_child(x):
    subprocess.Popen(["sleep", "77.125"])
    return x * x


def of_floats(x):
    return [float(v) ** 2 for v in x]


@dataclass
class Boxed:
    value: object


def boxed(x):
    return Boxed(x * x)


not_callable = 3


def forks(x):
    return 2 * x * x if os.fork() == 0 else x * x


def closes_stdout(x):
    sys.stdout.close()
    return x * x


class Unreadable(Exception):
    def __str__(self):
        raise RuntimeError("no message")


def raises_what_cannot_be_read(x):
    raise Unreadable


def masked(x):
    return np.ma.masked_array(x * x, mask=np.ones(len(x), bool))


def cube_and_random_if_long(x):
    return x**3 + (random.SystemRandom().random() if len(x) > 1 else 0)


def writes_into_the_conversation(x):
    for stream in range(3, 64):
        try:
            os.write(stream, b"rubbish\n")
        except OSError:
            continue
    return x * x


def wrong_from_the_three_hundredth_call_on(x, calls=[]):  # noqa: B006
    calls.append(x)
    return x * x if len(calls) < 300 else 2 * x * x


def wrong_once_in_a_hundred(x, rng=np.random.default_rng(1)):  # noqa: B008
    return x * x if rng.random() > 0.01 else 2 * x * x
