"""A linear operator of SciPy for the Jacobian of each step, composed, and the adjoint of the whole applied."""

from scipy.sparse.linalg import LinearOperator, aslinearoperator


def step(loss, point, batch, lr):
    def product(v):
        return v.ravel() - lr * loss.hvp(point, batch, v.ravel())

    shape = (len(point), len(point))
    return LinearOperator(shape, matvec=product, rmatvec=product, dtype=point.dtype)


def subject(loss, theta, tasks, lr, steps):
    total = 0
    for support, query in tasks:
        point, whole = theta, None
        for _ in range(steps):
            jacobian = step(loss, point, support, lr)
            whole = jacobian if whole is None else aslinearoperator(jacobian) @ whole
            point = point - lr * loss.grad(point, support)
        total = total + whole.rmatvec(loss.grad(point, query))
    return total / len(tasks)
