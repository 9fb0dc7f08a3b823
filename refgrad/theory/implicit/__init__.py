"""What is true of hypergradients in closed form: what each approximation is short of, exactly.

`steps` has gradient descent, unrolled, and fixed points of other maps; `approximations` what an inexact solve, damping
and a finite difference do to the value; `off_solution` what the formula means where the inner problem is not solved,
and the second derivative; `weights` what holds of weights of tasks, of examples and of a normalised weight.

The symbols are those of equation (hypergradient): g and d are the derivatives of the outer loss by w and phi, H and B
the second derivatives of the inner one. The identities, by their labels:

* of approximations: I1 neumann-residual (in `refgrad.linalg`), I2 descent-on-a-quadratic, I3 descent-from-the-solution,
  I4 finite-difference-error, I5 tilted-problem, I6 damping-bias, I7 fixed-point-maps and momentum-map;
* of derivatives and weights: J1 second-derivative-of-the-lagrangian, J2 and J3 radial-derivative, J4 weight-norm,
  J5 leave-one-out, J6 error-of-adjoint, of which I1 and I6 are two cases.

>>> from refgrad.contracts.implicit import probe
>>> from refgrad.theory.implicit import damping_bias, descent_from_the_solution
>>> problem, w, phi = probe()
>>> at = problem.derivatives(w, phi)
>>> descent_from_the_solution(at.H, at.B, at.g, at.d, lr=1, steps=1)  # d - B^T g
ExactArray([0, 6, -8])
>>> damping_bias(at.H, at.g, 1)
ExactArray([0, 3/5, -1/5])
"""

from __future__ import annotations

from refgrad.theory.implicit.approximations import damping_bias, error_of_adjoint, finite_difference_error
from refgrad.theory.implicit.off_solution import second_hypergradient, tilted
from refgrad.theory.implicit.steps import (
    descent_from_the_solution,
    descent_on_a_quadratic,
    fixed_point_hypergradient,
    momentum,
)
from refgrad.theory.implicit.weights import leave_one_out, radial_derivative, weight_norm_gradient

__all__ = [
    "damping_bias", "descent_from_the_solution", "descent_on_a_quadratic", "error_of_adjoint",
    "finite_difference_error", "fixed_point_hypergradient", "leave_one_out", "momentum", "radial_derivative",
    "second_hypergradient", "tilted", "weight_norm_gradient",
]  # fmt: skip
