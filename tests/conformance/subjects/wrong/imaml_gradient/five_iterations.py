"""Five iterations of conjugate gradients: right up to five parameters."""


def subject(loss, theta, adapted, tasks, lam):
    total = 0
    for point, (support, query) in zip(adapted, tasks, strict=True):
        r = loss.grad(point, query)
        x, p, square = 0 * r, r, r @ r
        for _ in range(5):
            if square == 0:
                break
            step = p + loss.hvp(point, support, p) / lam
            alpha = square / (p @ step)
            x, r = x + alpha * p, r - alpha * step
            p, square = r + (r @ r) / square * p, r @ r
        total = total + x
    return total / len(tasks)
