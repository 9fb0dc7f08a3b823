"""What a derivative is taken to be where there is none, or where a formula for it would give the wrong number.

Every row is evaluated by the tests. Where a function has a kink, its derivative is one of those next to it or their
mean; where a derivative is infinite or does not exist, it is infinite or NaN.

Kinks. Equal arguments share evenly; a rectifier of its own has 0, as elsewhere [bertoin2021]_; inside a closed interval
clipping is the identity. The norm has 0 at 0: it is even there, so the only odd choice is 0; it has no second one.
A smooth function that goes through a kink, such as ``max(x, -x)^2``, has the derivatives that the conventions of its
parts give it, and its second one may be wrong: floats cannot tell. Exact numbers have no conventions, for their
derivatives are certificates: at a kink of `abs`, `relu`, `leaky_relu`, `elu`, `maximum`, `minimum`, `clip`, `max`,
`min`, `sort`, `argsort`, `argmax`, `sign`, `floor`, `ceil`, `rint`, `huber`, a norm or `hypot` every derivative, in
every mode and for any of the elements, raises `refgrad.errors.Kink`, an `Undecided`; so does a logarithm or `arctanh`
outside its domain, whose rule would give a number. What ``where`` chooses is the caller's decision. What is left
of a division has the derivatives of the side on which it is 0; exact numbers have none at that jump.

===========================================================================  =====================================
derivative                                                                   value
===========================================================================  =====================================
``grad(np.abs)(0.0)``                                                        ``0.0``
``grad(np.abs)(-0.0)``                                                       ``0.0``
``grad(rnp.relu)(0.0)``                                                      ``0.0``
``grad(lambda x: np.maximum(x, 0.0))(0.0)``                                  ``0.5``
``grad(lambda x: np.minimum(x, 0.0))(0.0)``                                  ``0.5``
``grad(np.max)(np.array([3.0, 1.0, 3.0]))``                                  ``[0.5, 0.0, 0.5]``
``grad(np.min)(np.array([3.0, 1.0, 1.0]))``                                  ``[0.0, 0.5, 0.5]``
``grad(lambda x: np.clip(x, 0.0, 1.0))(0.0)``                                ``1.0``
``grad(lambda x: np.clip(x, 0.0, 1.0))(1.0)``                                ``1.0``
``grad(np.sign)(0.0)``                                                       ``0.0``
``grad(np.floor)(1.0)``                                                      ``0.0``
``grad(grad(lambda x: np.maximum(x, -x) ** 2))(0.0)``                        ``0.0``
``grad(grad(lambda x: np.abs(x) ** 2))(0.0)``                                ``0.0``
``grad(np.linalg.norm)(np.zeros(2))``                                        ``[0.0, 0.0]``
``grad(lambda x: np.fabs(x))(0.0)``                                          ``0.0``
``grad(lambda x: np.fmax(x, 0.0))(0.0)``                                     ``0.5``
``grad(lambda x: np.fmin(x, 0.0))(0.0)``                                     ``0.5``
``grad(lambda x: np.remainder(x, 3.0))(6.0)``                                ``1.0``
``grad(lambda y: np.remainder(-19.0, y))(3.0)``                              ``7.0``
``grad(lambda y: np.remainder(6.0, y))(3.0)``                                ``-2.0``
``grad(lambda y: np.fmod(-19.0, y))(3.0)``                                   ``6.0``
``grad(lambda x: np.fmod(x, 3.0))(-6.0)``                                    ``1.0``
``hessian(np.linalg.norm)(np.zeros(2))``                                     ``[[nan, nan], [nan, nan]]``
``grad(lambda x: np.hypot(x, 0.0))(0.0)``                                    ``0.0``
``grad(grad(lambda x: np.hypot(x, 0.0)))(0.0)``                              ``nan``
===========================================================================  =====================================

Ends of a domain, and points without a direction. A square root has an infinite slope at 0, and zero times that is NaN:
the derivatives of a length and of a standard deviation do not exist there; that of one number alone is 0 whatever the
number, and so is its derivative. ``where`` does not undo it in reverse mode,
where 0 comes first and is then multiplied; choose the argument before the root is taken, as in the last row.

===========================================================================  =====================================
derivative                                                                   value
===========================================================================  =====================================
``grad(np.sqrt)(0.0)``                                                       ``inf``
``grad(np.cbrt)(0.0)``                                                       ``inf``
``grad(np.log)(0.0)``                                                        ``inf``
``grad(np.arcsin)(1.0)``                                                     ``inf``
``grad(np.arccos)(1.0)``                                                     ``-inf``
``grad(np.arctanh)(1.0)``                                                    ``inf``
``grad(np.arccosh)(1.0)``                                                    ``inf``
``grad(lambda x: special.xlogy(x, 0.0))(0.0)``                               ``-inf``
``grad(lambda y: special.xlogy(0.0, y))(0.0)``                               ``0.0``
``grad(lambda y: special.xlogy(0.0, y))(-1.0)``                              ``0.0``
``grad(lambda y: special.xlogy(2.0, y))(0.0)``                               ``inf``
``grad(lambda p: special.xlogy(p, p))(0.0)``                                 ``-inf``
``grad(grad(lambda y: special.xlogy(0.0, y)))(0.0)``                         ``nan``
``grad(lambda y: special.xlog1py(0.0, y))(-1.0)``                            ``0.0``
``grad(lambda x: np.sqrt(np.sum(x * x)))(np.zeros(2))``                      ``[nan, nan]``
``grad(lambda x: np.arctan2(x, 0.0))(0.0)``                                  ``nan``
``grad(np.std)(np.ones(2))``                                                 ``[nan, nan]``
``grad(np.std)(np.ones(1))``                                                 ``[0.0]``
``grad(lambda x: np.sum(np.std(x, axis=1)))(np.ones((2, 1)))``               ``[[0.0], [0.0]]``
``vjp(lambda x: np.where(x > 0, np.sqrt(x), 0.0), 0.0)[1](1.0)[0]``          ``nan``
``jvp(lambda x: np.where(x > 0, np.sqrt(x), 0.0), (0.0,), (1.0,))[1]``       ``0.0``
``grad(lambda x: np.where(x > 0, np.sqrt(np.where(x > 0, x, 1)), 0))(0.0)``  ``0.0``
===========================================================================  =====================================

Zeros that a formula divides by, or takes the logarithm of. The derivative of a product is the product of the others.

===========================================================================  =====================================
derivative                                                                   value
===========================================================================  =====================================
``grad(np.prod)(np.array([0.0, 2.0, 3.0]))``                                 ``[6.0, 0.0, 0.0]``
``grad(np.prod)(np.array([0.0, 0.0, 3.0]))``                                 ``[0.0, 0.0, 0.0]``
``hessian(np.prod)(np.array([0.0, 0.0, 3.0]))``                              ``[[0, 3, 0], [3, 0, 0], [0, 0, 0]]``
``hessian(lambda x: np.cumprod(x)[1])(np.array([0.0, 5.0]))``                ``[[0.0, 1.0], [1.0, 0.0]]``
``grad(lambda x: x**0)(0.0)``                                                ``0.0``
``grad(lambda x: x**0.0)(0.0)``                                              ``0.0``
``grad(lambda x: np.sum(x ** np.zeros(1)))(np.zeros(1))``                    ``[0.0]``
``grad(lambda x: np.sum(x ** np.ones(1)))(np.zeros(1))``                     ``[1.0]``
``grad(grad(lambda x: x**1.0))(0.0)``                                        ``0.0``
``hessian(lambda x: np.sum(x ** np.ones(1)))(np.zeros(1))``                  ``[[0.0]]``
``grad(lambda b: grad(lambda a: a**b)(2.0))(0.0)``                           ``0.5``
``grad(lambda y: 0.0**y)(2.0)``                                              ``0.0``
``grad(lambda y: 0.0**y)(0.0)``                                              ``-inf``
``grad(np.sinc)(0.0)``                                                       ``0.0``
``grad(grad(np.sinc))(0.0)``                                                 ``-(pi**2) / 3``
``grad(grad(np.tanh))(1e-300)``                                              ``-2e-300``
===========================================================================  =====================================

Matrices. A determinant is a polynomial, and has the derivatives of one. Functions of symmetric matrices read one
triangle, as NumPy's do, and have the derivative along the symmetric part of a direction: their gradients are symmetric,
though by the elements of a triangle alone the derivative would be twice as large below the diagonal and 0 above it.
What takes ``(a + a.T) / 2`` has that same gradient, and is a function of all of ``a``. Eigenvectors of equal
eigenvalues have no derivative, and a norm at 0 has no second one.

===========================================================================  =====================================
derivative                                                                   value
===========================================================================  =====================================
``hessian(np.linalg.norm)(np.zeros(1))``                                     ``[[nan]]``
``grad(np.linalg.det)(np.ones((2, 2)))``                                     ``[[1.0, -1.0], [-1.0, 1.0]]``
``grad(np.linalg.det)(np.zeros((2, 2)))``                                    ``[[0.0, 0.0], [0.0, 0.0]]``
``hessian(np.linalg.det)(np.eye(2))[0, 0]``                                  ``[[0.0, 0.0], [0.0, 1.0]]``
``grad(lambda a: np.linalg.cholesky(a)[1, 0])(np.eye(2))``                   ``[[0.0, 0.5], [0.5, 0.0]]``
``grad(lambda a: np.sum(np.linalg.eigvalsh(a)))(np.eye(2))``                 ``[[1.0, 0.0], [0.0, 1.0]]``
``grad(lambda a: np.sum(np.linalg.eigvalsh(a) ** 3))(np.tri(2))``             ``[[6.0, 6.0], [6.0, 6.0]]``
``grad(lambda a: np.linalg.eigh(a)[1][0, 0])(np.eye(2))``                    ``[[nan, nan], [nan, nan]]``
===========================================================================  =====================================

NaN and infinity. A choice between numbers of which one is NaN is NaN, and so is its derivative; clipping hands a NaN on
as it is, with derivative 1. What `where` did not choose has derivative 0, NaN or not; but what that was computed from
has 0 times the slope, in reverse mode, which is NaN where the slope is NaN or infinite. Logarithms of sums take -inf
for a probability of 0, which has no influence.

===========================================================================  =====================================
derivative                                                                   value
===========================================================================  =====================================
``grad(np.abs)(nan)``                                                        ``nan``
``grad(rnp.relu)(nan)``                                                      ``nan``
``grad(lambda x: np.maximum(x, 0.0))(nan)``                                  ``nan``
``grad(lambda x: np.maximum(x, nan))(0.0)``                                  ``nan``
``grad(lambda x: np.minimum(nan, x))(0.0)``                                  ``nan``
``grad(lambda x: np.maximum(x, -inf))(0.0)``                                 ``1.0``
``grad(lambda x: np.maximum(x, inf))(inf)``                                  ``0.5``
``grad(lambda x: np.remainder(x, 3.0))(inf)``                                ``nan``
``grad(lambda x: np.fmod(x, 0.0))(1.0)``                                     ``nan``
``grad(lambda x: np.fmax(x, nan))(0.0)``                                     ``1.0``
``grad(lambda x: np.fmin(0.0, x))(nan)``                                     ``0.0``
``grad(lambda x: np.fmax(x, x))(nan)``                                       ``nan``
``grad(lambda x: np.clip(x, 0.0, 1.0))(nan)``                                ``1.0``
``grad(np.max)(np.array([1.0, nan]))``                                       ``[nan, nan]``
``grad(lambda x: rnp.where(True, x, nan))(1.0)``                             ``1.0``
``vjp(lambda x: np.where(x == 0, x, np.sin(x) / x), 0.0)[1](1.0)[0]``        ``nan``
``jvp(lambda x: np.where(x == 0, x, np.sin(x) / x), (0.0,), (1.0,))[1]``     ``1.0``
``grad(rnp.logsumexp)(np.array([-inf, 0.0]))``                               ``[0.0, 1.0]``
``grad(rnp.logsumexp)(np.array([-inf, -inf]))``                              ``[0.0, 0.0]``
``grad(lambda x: rnp.logsumexp(x, b=np.zeros(2)))(np.zeros(2))``             ``[nan, nan]``
``grad(lambda x: rnp.logsumexp(x, b=np.ones(2)))(np.array([-inf, -inf]))``   ``[0.0, 0.0]``
``grad(lambda b: rnp.logsumexp(np.array([-inf, 0.0]), b=b))(np.ones(2))``    ``[0.0, 1.0]``
``grad(lambda x: np.logaddexp2(x, inf))(0.0)``                               ``0.0``
``grad(lambda x: np.logaddexp(x, 0.0))(inf)``                                ``1.0``
``grad(lambda x: np.logaddexp(x, 0.0))(-inf)``                               ``0.0``
``grad(lambda x: np.logaddexp(x, inf))(0.0)``                                ``0.0``
``grad(lambda x: np.logaddexp(x, -inf))(-inf)``                              ``0.5``
``grad(grad(lambda x: np.logaddexp(x, 0.0)))(0.0)``                          ``0.25``
===========================================================================  =====================================

Rows of a Jacobian. In reverse mode the zeros of one row meet the slopes of the other outputs, and 0 times an infinite
or NaN slope is NaN. `jacrev` and `hessian` of several outputs take an entry that is NaN, though its output is none,
from forward mode, where no other output comes into it (`refgrad.autodiff.rows`, also for the bound on that work). What
has one output stays as `grad` has it, and so does everything that is staged or differentiated again. In forward mode
zeros meet the slopes on the way to one output: only its own row is spoilt.

===========================================================================  =====================================
derivative                                                                   value
===========================================================================  =====================================
``jacrev(lambda x: x * np.log(x))(np.array([-1.0, 1.0]))``                   ``[[nan, 0.0], [0.0, 1.0]]``
``vjp(lambda x: x * np.log(x), np.array([-1.0, 1.0]))[1](np.eye(2)[1])[0]``  ``[nan, 1.0]``
``jacrev(np.sqrt)(np.array([0.0, 1.0]))``                                    ``[[inf, 0.0], [0.0, 0.5]]``
``jacfwd(np.sqrt)(np.array([0.0, 1.0]))``                                    ``[[inf, nan], [0.0, 0.5]]``
``hessian(lambda x: np.sum(np.log(x)))(np.array([0.0, 1.0]))``               ``[[-inf, 0.0], [0.0, -1.0]]``
``jacrev(lambda x: np.where(x > 0, np.sqrt(x), 0.0))(0.0)``                  ``nan``
``jacrev(lambda x: np.where(x > 0, x**0.5, 0.0))(np.array([0.0, 1.0]))``     ``[[0.0, 0.0], [0.0, 0.5]]``
===========================================================================  =====================================

Indices and dtypes. Repeated indices accumulate. Rules contain no floating-point constants, so the dtype of the argument
is that of the derivative; an integer has no derivative.

===========================================================================  =====================================
derivative                                                                   value
===========================================================================  =====================================
``grad(lambda x: np.sum(x[np.array([0, 0, -1])]))(np.ones(3))``              ``[2.0, 0.0, 1.0]``
``grad(np.var)(np.ones(3, np.float32)).dtype``                               ``np.float32``
``grad(lambda x: np.sum(x * np.ones(2)))(np.ones(2, np.float32)).dtype``     ``np.float32``
``grad(np.tanh)(1)``                                                         ``TypeError``
===========================================================================  =====================================

.. [bertoin2021] D. Bertoin, J. Bolte, S. Gerchinovitz and E. Pauwels, Numerical influence of ReLU'(0) on
   backpropagation, NeurIPS 2021.
"""
