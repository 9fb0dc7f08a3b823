"""Truncated Taylor series as array elements: an oracle for derivatives that knows no derivative rule of the engine.

A jet is ``x0 + x1 t + x2 t^2 + x3 t^3`` modulo t^4, with rationals or balls as coefficients. The *implementation* of a
primitive, run on jets along ``x + t v``, gives the directional derivatives ``D^k f(x)[v, ..., v] = k! y_k`` of every
order at once. The functions exp, log, tanh, sqrt, sin and cos follow from the differential equation each satisfies, by
recurrence on the coefficients [griewank2008]_, table 13.2; others from these, from their power series, or are
python-flint's own.

.. [griewank2008] A. Griewank and A. Walther, Evaluating Derivatives (2008).
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from refgrad.backend.exact.array import ElementArray
from refgrad.backend.exact.field import Field, lift
from refgrad.backend.exact.names import ExactNamespace
from refgrad.backend.exact.rationals import RATIONAL

try:
    from flint import arb, arb_series

    from refgrad.backend.exact.balls import BALL
except ImportError:  # every test that would use these is skipped
    arb = arb_series = BALL = None

ORDER = 4


class Jet:
    """One truncated series."""

    __slots__ = ("c",)

    def __init__(self, coefficients):
        self.c = tuple(coefficients)

    @staticmethod
    def of(x):
        return x if isinstance(x, Jet) else Jet((x, 0, 0, 0))

    def __add__(self, other):
        if isinstance(other, np.ndarray):
            return NotImplemented
        return Jet(a + b for a, b in zip(self.c, Jet.of(other).c, strict=True))

    __radd__ = __add__

    def __neg__(self):
        return Jet(-a for a in self.c)

    def __sub__(self, other):
        if isinstance(other, np.ndarray):
            return NotImplemented
        return self + -Jet.of(other)

    def __rsub__(self, other):
        return Jet.of(other) + -self

    def __mul__(self, other):
        if isinstance(other, np.ndarray):
            return NotImplemented
        b = Jet.of(other).c
        return Jet(sum(self.c[i] * b[k - i] for i in range(k + 1)) for k in range(ORDER))

    __rmul__ = __mul__

    def __truediv__(self, other):
        if isinstance(other, np.ndarray):
            return NotImplemented
        b, y = Jet.of(other).c, []
        for k in range(ORDER):
            y.append((self.c[k] - sum(y[i] * b[k - i] for i in range(k))) / b[0])
        return Jet(y)

    def __rtruediv__(self, other):
        return Jet.of(other) / self

    def __pow__(self, n):
        y = Jet.of(self.c[0] - self.c[0] + 1)
        for _ in range(abs(n)):
            y = y * self
        return y if n >= 0 else 1 / y

    def __abs__(self):
        return self if self.c[0] > 0 else -self

    def __eq__(self, other):
        return self.c[0] == Jet.of(other).c[0]

    __hash__ = None

    def __lt__(self, other):
        return self.c[0] < Jet.of(other).c[0]

    def __gt__(self, other):
        return self.c[0] > Jet.of(other).c[0]

    def __le__(self, other):
        return self.c[0] <= Jet.of(other).c[0]

    def __ge__(self, other):
        return self.c[0] >= Jet.of(other).c[0]

    def conjugate(self):
        return self

    def integral(self, first, derivative):
        """The series with constant term `first` whose derivative is ``derivative(series so far) * self'``."""
        y = [first]
        for k in range(1, ORDER):
            d = derivative(Jet((y + [0] * ORDER)[:ORDER])).c
            y.append(sum(d[k - j] * self.c[j] * j for j in range(1, k + 1)) / k)
        return Jet(y)

    def exp(self):
        return self.integral(self.c[0].exp(), lambda y: y)

    def log(self):
        return self.integral(self.c[0].log(), lambda y: 1 / self)

    def tanh(self):
        return self.integral(self.c[0].tanh(), lambda y: 1 - y * y)

    def expm1(self):
        return self.exp() - 1

    def log1p(self):
        return (self + 1).log()

    def arctan(self):
        return self.integral(self.c[0].atan(), lambda y: 1 / (1 + self * self))

    def sqrt(self):
        return self.integral(self.c[0].sqrt(), lambda y: 1 / (2 * y))

    def log2(self):
        return self.log() / arb(2).log()

    def log10(self):
        return self.log() / arb(10).log()

    def exp2(self):
        return (self * arb(2).log()).exp()

    def cbrt(self):
        root = -(-self.c[0]).root(3) if self.c[0] < 0 else self.c[0].root(3)
        return self.integral(root, lambda y: 1 / (3 * y * y))

    def tan(self):
        return self.integral(self.c[0].tan(), lambda y: 1 + y * y)

    def arcsin(self):
        return self.integral(self.c[0].asin(), lambda y: 1 / (1 - self * self).sqrt())

    def arccos(self):
        return arb.pi() / 2 - self.arcsin()

    def sinh(self):
        return (self.exp() - (-self).exp()) / 2

    def cosh(self):
        return (self.exp() + (-self).exp()) / 2

    def arcsinh(self):
        return (self + (self * self + 1).sqrt()).log()

    def arccosh(self):
        return (self + (self * self - 1).sqrt()).log()

    def deg2rad(self):
        return self * (arb.pi() / 180)

    def rad2deg(self):
        return self * (180 / arb.pi())

    def xlogy(self, other):
        return self * other.log()

    def xlog1py(self, other):
        return self * other.log1p()

    def arctanh(self):
        return ((1 + self) / (1 - self)).log() / 2

    def arctan2(self, other):
        # the angle of (x, y) differs from arctan(y / x) by a constant
        angle = (self / other).arctan()
        return Jet((arb.atan2(self.c[0], other.c[0]), *angle.c[1:]))

    def erf(self):
        return Jet(coefficients(arb_series(list(map(arb, self.c)), prec=ORDER).erf()))

    def erfc(self):
        return Jet(coefficients(arb_series(list(map(arb, self.c)), prec=ORDER).erfc()))

    def lgamma(self):
        return Jet(coefficients(arb_series(list(map(arb, self.c)), prec=ORDER).lgamma()))

    def polygamma(self, n):
        # python-flint's series of log gamma about the constant term, differentiated, at the rest of the jet
        series = arb_series([self.c[0], 1], prec=ORDER + n + 1).lgamma()
        for _ in range(n + 1):
            series = series.derivative()
        y, rest = Jet.of(0), self - self.c[0]
        for c in reversed(coefficients(series)):
            y = y * rest + c
        return y

    def sinc(self, n):
        if abs(self.c[0]) > 2:  # the recurrence from n = 0 upwards
            before, y = self.cos(), self.sin() / self
            for m in range(n):
                before, y = y, ((2 * m + 1) * y - before) / (self * self)
            return y
        # j_n(x) / x^n = sum over k of (-x^2 / 2)^k / (k! 1 3 ... (2 n + 2 k + 1)); what follows 30 terms is below 1e-60
        term = y = Jet.of(1 / arb(math.prod(range(1, 2 * n + 2, 2))))
        for k in range(1, 30):
            term = term * self * self / (-2 * k * (2 * n + 2 * k + 1))
            y = y + term
        return y

    def sin_cos(self):
        s, c = [self.c[0].sin()], [self.c[0].cos()]
        for k in range(1, ORDER):
            s.append(sum(c[k - j] * self.c[j] * j for j in range(1, k + 1)) / k)
            c.append(-sum(s[k - j] * self.c[j] * j for j in range(1, k + 1)) / k)
        return Jet(s), Jet(c)

    def sin(self):
        return self.sin_cos()[0]

    def cos(self):
        return self.sin_cos()[1]


def coefficients(series):
    return [*series.coeffs(), *[arb(0)] * ORDER][:ORDER]


class Jets(Field):
    name = "jet"
    zero, one = Jet((0, 0, 0, 0)), Jet((1, 0, 0, 0))

    def element(self, value):
        if isinstance(value, float):
            raise TypeError("no floats")
        return Jet.of(value)

    def fraction(self, element):
        raise TypeError("a series is no number")

    def apply(self, name, element, *others):
        return getattr(element, name)(*others)

    def floor(self, element):
        return Jet.of(field_of(element).floor(element.c[0]))

    def root(self, element):
        return element.integral(field_of(element).root(element.c[0]), lambda y: 1 / (2 * y))

    def det(self, a):
        """By Leibniz: elimination divides, and a series without constant term is no divisor."""
        total = self.zero
        for p in itertools.permutations(range(len(a))):
            odd = sum(p[i] > p[j] for j in range(len(p)) for i in range(j)) % 2
            total = total + math.prod((a[i, k] for i, k in enumerate(p)), start=self.one) * (-1) ** odd
        return total

    def compare(self, symbol, a, b):
        x, y = Jet.of(a).c[0], Jet.of(b).c[0]
        return bool(x < y if symbol == "<" else x <= y if symbol == "<=" else x == y)


class JetArray(ElementArray):
    __slots__ = ()

    def __pow__(self, exponent):
        if isinstance(exponent, (int, np.integer)):
            return super().__pow__(exponent)
        return (self.table.log(self) * exponent).table.exp(self.table.log(self) * exponent)


def field_of(element):
    """The field of the coefficients."""
    return (BALL if BALL and type(element.c[0]) is type(BALL.field.zero) else RATIONAL).field


class JetBackend(ExactNamespace):
    """The functions of jets; eigenvalues and eigenvectors order by order from ``A(t) V(t) = V(t) W(t)``."""

    def mirror(self, a, uplo="L"):
        """The derivative of a function of symmetric matrices is that along the symmetric part of a direction."""
        return (a + a.mT) / 2

    def eigenvalues(self, a, uplo):
        return self._each(
            lambda field, m: np.array([Jet(row) for row in self.spectrum(m)[0].T], object),
            self._data(self.mirror(a)),
        )

    def eigenvectors(self, a, uplo):
        def vectors(m):
            return lift(lambda *c: Jet(c), *self.spectrum(m)[1])

        return self._each(lambda field, m: vectors(m), self._data(self.mirror(a)))

    def spectrum(self, a):
        """The coefficients of W, shape (ORDER, n), and of V, shape (ORDER, n, n).

        With V = V_0 U and B = V_0^T A V_0, the terms of order k of ``B U = U W`` and of ``U^T U = 1`` give
        ``B_0 U_k - U_k W_0 = W_k - R`` and twice the diagonal of U_k, all with terms of lower order on the right.
        """
        n, table = len(a), RATIONAL
        A = [lift(lambda jet, k=k: jet.c[k] * table.field.one, a) for k in range(ORDER)]
        first = table.asarray(A[0])
        V0, w0 = table.eigenvectors(first, "L").data, table.eigenvalues(first, "L").data
        B = [V0.T @ x @ V0 for x in A]
        W, U = [w0], [np.eye(n, dtype=int).astype(object) * table.field.one]
        for k in range(1, ORDER):
            R = sum(B[j] @ U[k - j] for j in range(1, k + 1)) - sum((U[k - j] * W[j] for j in range(1, k)), 0 * B[0])
            norm = sum((U[j].T @ U[k - j] for j in range(1, k)), 0 * B[0])
            term = -norm / 2
            for i, l in itertools.permutations(range(n), 2):
                term[i, l] = R[i, l] / (w0[l] - w0[i])
            W.append(R.diagonal())
            U.append(term)
        return np.array(W), np.array([V0 @ u for u in U])


JetArray.field = Jets()
JETS = JetBackend(JetArray)


def line(x, v):
    """The jets ``x + t v`` for two exact arrays, or two arrays of balls, of one shape."""
    data = np.empty(x.shape, object)
    for i in np.ndindex(x.shape):
        a, b = x.data[i], v.data[i]
        data[i] = Jet((a, b, a - a, a - a))
    return JetArray(data)


def coefficient(y, k):
    """The coefficient of t^k of every element, as an object array."""
    return np.frompyfunc(lambda jet: Jet.of(jet).c[k], 1, 1)(np.asarray(y.data, object))
