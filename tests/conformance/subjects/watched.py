"""Subjects that show what a call notes of its arguments, its process and its generators."""

import os
import random
import time

import numpy as np

CALLS = []


def own_loss(loss, theta, tasks, lr, steps):
    """Ignores the loss that it is given."""
    return sum(X.T @ (X @ theta - y) for _, (X, y) in tasks) / len(tasks)


def called(loss, theta, tasks, lr, steps):
    """Calls the loss."""
    return theta + loss(theta, tasks[0][0])


def by_hand(loss, theta, tasks, lr, steps):
    """Uses the gradient of the loss."""
    return loss.grad(theta, tasks[0][0])


def used_once(loss, theta, tasks, lr, steps):
    """Uses the loss in its second call only."""
    CALLS.append(1)
    return theta if len(CALLS) != 2 else loss.grad(theta, tasks[0][0])


def reads_only(loss, theta, tasks, lr, steps):
    return theta.copy()


def theta_in_place(loss, theta, tasks, lr, steps):
    theta -= 1
    return theta.copy()


def labels_in_place(loss, theta, tasks, lr, steps):
    tasks[-1][1][1][0] += 1
    return theta.copy()


def tasks_popped(loss, theta, tasks, lr, steps):
    tasks.pop()
    return theta.copy()


def tasks_reversed(loss, theta, tasks, lr, steps):
    tasks.reverse()
    return theta.copy()


def tasks_in_themselves(loss, theta, tasks, lr, steps):
    tasks.append(tasks)
    return theta.copy()


def shape_in_place(loss, theta, tasks, lr, steps):
    found = theta.copy()
    theta.resize((1, 3))
    return found


def constants_in_place(f, x):
    f.b[:] = 0
    return x.copy()


def by_python(x):
    return x * x + random.random()


def by_numpy(x):
    return x * x + np.random.normal(size=len(x))


def counted(x):
    """The number of calls in this process."""
    CALLS.append(1)
    return x * 0 + len(CALLS)


def by_process(x):
    return x * 0 + os.getpid()


def slow_at_first(x):
    """Takes two seconds for its first call, as a late import would."""
    if not CALLS:
        time.sleep(2.0)
    CALLS.append(1)
    return x * x


def slow(x):
    time.sleep(2.0)
    return x * x


def hangs(x):
    time.sleep(3600)


def in_a_tuple(x):
    return (x * x,)


def in_a_dict(x):
    return {"value of x": x * x, "x": 1.0}


def with_its_value(x):
    return x.sum(), x * x


def in_two(x):
    return x * x, x * x


def oracle(x):
    from refgrad.contracts.meta import maml_gradient

    return maml_gradient(x)


def oracle_by_attribute(x):
    import refgrad

    return refgrad.contracts.get("square").quantity(x).value


def oracle_by_verify(x):
    import refgrad

    return refgrad.verify(by_python, "square")


def oracle_in_theory(x):
    import refgrad.theory.encoders as encoders

    return encoders.anything(x)


def exact_numbers(x):
    from refgrad import exact

    return np.array([float(v * v) for v in exact.asarray(x.tolist())])
