"""Implicit and unrolled hypergradients by jaxopt's solvers, as its users call them."""

import jax
import jaxopt
from jaxopt.implicit_diff import custom_root
from jaxopt.linear_solve import solve_cg, solve_lu, solve_normal_cg


def hypergradient(inner, outer, w, phi, solve):
    @custom_root(jax.grad(inner), solve=solve)
    def solution(start, phi):
        return start

    return jax.grad(lambda p: outer(solution(w, p), p))(phi)


def by_lu(inner, outer, w, phi):
    return hypergradient(inner, outer, w, phi, solve_lu)


def by_ridge(inner, outer, w, phi):
    return hypergradient(inner, outer, w, phi, lambda product, b: solve_lu(product, b, ridge=0.125))


def by_cg(inner, outer, w, phi):
    with jax.disable_jit():  # the loop of every problem would be compiled anew
        return hypergradient(inner, outer, w, phi, solve_cg)


def by_default(inner, outer, w, phi):
    """`custom_root` without `solve`: conjugate gradients on the normal equations, to a relative residual of 1e-5."""
    with jax.disable_jit():
        return hypergradient(inner, outer, w, phi, solve_normal_cg)


def through(solver, outer, w0, phi):
    return jax.grad(lambda p: outer(solver.run(w0, p).params, p))(phi)


def gradient_descent(inner, outer, w0, phi, lr, steps):
    solver = jaxopt.GradientDescent(
        inner, stepsize=lr, maxiter=steps, tol=0.0, acceleration=False, implicit_diff=False, jit=False
    )
    return through(solver, outer, w0, phi)


def gradient_descent_implicit(inner, outer, w0, phi, lr, steps):
    """The default way of differentiating, which takes the last of a few steps for the solution."""
    solver = jaxopt.GradientDescent(
        inner, stepsize=lr, maxiter=steps, tol=0.0, acceleration=False, implicit_diff_solve=solve_lu, jit=False
    )
    return through(solver, outer, w0, phi)


def fixed_point_iteration(inner, outer, w0, phi, lr, steps):
    def step(w, phi):
        return w - lr * jax.grad(inner)(w, phi)

    solver = jaxopt.FixedPointIteration(step, maxiter=steps, tol=0.0, implicit_diff=False, jit=False)
    return through(solver, outer, w0, phi)
