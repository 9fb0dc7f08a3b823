"""Returns an object whose every attribute is an accident."""


class Strange:
    def __getattr__(self, name):
        raise RuntimeError(name)

    def __array__(self, *args, **kwargs):
        raise SystemExit(3)


def square(x):
    return Strange()
