"""The adjoint of every inner step by hand, in float32."""

DTYPE = "float32"


def subject(loss, theta, tasks, lr, steps):
    answers = []
    for support, query in tasks:
        path = [theta]
        for _ in range(steps):
            path.append(path[-1] - lr * loss.grad(path[-1], support))
        v = loss.grad(path[-1], query)
        for point in path[-2::-1]:
            v = v - lr * loss.hvp(point, support, v)
        answers.append(v)
    return sum(answers) / len(answers)
