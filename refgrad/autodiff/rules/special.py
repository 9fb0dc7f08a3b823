"""Special functions: the error function, the logarithm of gamma and its derivatives, and sin(x) / x.

Each comes with the family its derivatives lie in, so that it nests to any order:

    erf'(x) = 2 exp(-x^2) / sqrt(pi)
    lgamma'(x) = polygamma(0, x),    polygamma(n, x)' = polygamma(n + 1, x)                 [dlmf]_, 5.2.2 and 5.15
    f_n'(x) = -x f_{n+1}(x)  for  f_n(x) = j_n(x) / x^n,  f_0(x) = sin(x) / x               [dlmf]_, 10.51.3

with j_n the spherical Bessel function. No f_n is divided by x, so all derivatives of ``sin(x) / x`` are exact at 0.

NumPy has none of the first three: they come from SciPy, which is imported when one of them is first evaluated. An
exported program that uses them imports `scipy.special` as ``special`` beside NumPy.

.. [dlmf] NIST Digital Library of Mathematical Functions, https://dlmf.nist.gov.
"""

from __future__ import annotations

from refgrad.autodiff.core import Primitive
from refgrad.autodiff.domains import case, positive, real
from refgrad.autodiff.primitive import elementwise
from refgrad.autodiff.rules.elementwise import exp, sqrt
from refgrad.autodiff.rules.smooth import pi_like

__all__ = ["erf", "lgamma", "polygamma", "sinc"]

erf: Primitive = elementwise(
    "erf",
    lambda xp, x: xp.erf(x),
    d=[lambda t, y, x: t * (2 * exp(-(x * x)) / sqrt(pi_like(x)))],
    source="special.erf({0})",
    cases=(case(real(2, 3)), case(real())),
)

lgamma: Primitive = elementwise(
    "lgamma",
    lambda xp, x: xp.lgamma(x),
    d=[lambda t, y, x: t * polygamma(x, n=0)],
    source="special.gammaln({0})",
    cases=(case(positive(2, 3)), case(positive())),
)

polygamma: Primitive = elementwise(
    "polygamma",
    lambda xp, x, n: xp.polygamma(n, x),
    d=[lambda t, y, x, n: t * polygamma(x, n=n + 1)],
    # SciPy's is float64 whatever it is given
    source="special.polygamma({n}, {0}).astype({0}.dtype)",
    cases=(case(positive(2, 3), n=0), case(positive(3), n=1), case(positive(), n=3)),
)

sinc: Primitive = elementwise(
    "sinc",
    lambda xp, x, n: xp.sinc(x, n),
    d=[lambda t, y, x, n: -(t * (x * sinc(x, n=n + 1)))],
    source="sinc({0}, {n})",
    cases=(case(real(2, 3), n=0), case(real(3), n=1), case(real(), n=3)),
)
