"""The namespace of linear algebra is NumPy's by name, plain and traced; shapes, dtypes, batches and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.kinds import ROUNDOFF
from helpers.sampling import rows

import refgrad.numpy as rnp
from refgrad import exact, grad, hvp, jacfwd, jvp, vjp, vmap
from refgrad.autodiff.rules import determinant, norm
from refgrad.errors import InvalidInput, ShapeError

la = rnp.linalg


A, B = (np.random.default_rng(seed).normal(size=(3, 3)) for seed in (1, 2))
S = A @ A.T + np.eye(3)
STACK = np.random.default_rng(3).normal(size=(2, 3, 3)) + 3 * np.eye(3)
CALLS = {
    "cholesky": lambda l: l.cholesky(S),
    "cholesky upper": lambda l: l.cholesky(S, upper=True),
    "cross": lambda l: l.cross(STACK, A),
    "det": lambda l: l.det(STACK),
    "diagonal": lambda l: l.diagonal(STACK),
    "diagonal above": lambda l: l.diagonal(STACK[:, :, :2], offset=1),
    "diagonal below": lambda l: l.diagonal(STACK[:, :2], offset=-1),
    "diagonal outside": lambda l: l.diagonal(A, offset=7),
    "eigh": lambda l: l.eigh(S),
    "eigvalsh": lambda l: l.eigvalsh(S),
    "inv": lambda l: l.inv(STACK),
    "matmul": lambda l: l.matmul(A, STACK),
    "matrix_norm": lambda l: l.matrix_norm(STACK, ord=1, keepdims=True),
    "matrix_power": lambda l: l.matrix_power(STACK, 5),
    "matrix_power 0": lambda l: l.matrix_power(A, 0),
    "matrix_power -2": lambda l: l.matrix_power(STACK, -2),
    "matrix_transpose": lambda l: l.matrix_transpose(STACK),
    "multi_dot": lambda l: l.multi_dot([A, B, S]),
    "multi_dot of two": lambda l: l.multi_dot([A, B]),
    "multi_dot with vectors": lambda l: l.multi_dot([A[0], B, S[1]]),
    "norm": lambda l: l.norm(A),
    "outer": lambda l: l.outer(A[0], B[0]),
    "pinv": lambda l: l.pinv(STACK[..., :2]),
    "qr": lambda l: l.qr(STACK),
    "slogdet": lambda l: l.slogdet(STACK),
    "solve": lambda l: l.solve(STACK, A),
    "solve a vector": lambda l: l.solve(STACK, A[0]),
    "svd": lambda l: l.svd(STACK, compute_uv=False),
    "svdvals": lambda l: l.svdvals(A),
    "trace": lambda l: l.trace(STACK, offset=1),
    "tensordot": lambda l: l.tensordot(STACK, A, axes=1),
    "vecdot": lambda l: l.vecdot(STACK, A, axis=-2),
    "vector_norm": lambda l: l.vector_norm(STACK, axis=(0, 1), ord=np.inf),
}


class Traced:
    """NumPy's own functions, of traced values."""

    def __getattr__(self, name):
        def function(*args, **kwargs):
            traced = lambda x: jvp(lambda x: getattr(np.linalg, name)(x, *args[1:], **kwargs), (x,), (x,))[0]
            return traced(args[0])

        return function


@pytest.mark.parametrize("call", CALLS)
def test_the_functions_are_numpys_by_name_plain_and_traced(call):
    f = CALLS[call]
    expected = f(np.linalg)
    for found in (f(la), f(Traced())):
        pairs = zip(found, expected, strict=True) if isinstance(expected, tuple) else [(found, expected)]
        if isinstance(expected, tuple):
            assert found._fields == expected._fields
        for x, y in pairs:
            assert np.shape(x) == np.shape(y)
            assert np.abs(x - y).max(initial=0) <= 1024 * ROUNDOFF * (1 + np.abs(y).max(initial=0))


def test_every_name_of_the_namespace_that_numpy_has_is_compared_with_numpys():
    elsewhere = {"lstsq"}  # whose rank has no derivative: tests of least squares
    assert {name.split()[0] for name in CALLS} | elsewhere >= {name for name in la.__all__ if hasattr(np.linalg, name)}


def test_the_diagonal_and_the_trace_are_differentiated():
    assert (grad(la.trace)(A) == np.eye(3)).all()
    assert (jacfwd(lambda a: la.diagonal(a, offset=-1))(A)[:, [1, 2], [0, 1]] == np.eye(2)).all()


SHAPES = {
    "solve_triangular": (lambda a, b: la.solve_triangular(a, b, lower=True), (2, 1, 3, 3), (4, 3, 2)),
    "solve_triangular of a vector": (la.solve_triangular, (2, 3, 3), (3,)),
    "cofactor": (determinant.cofactor, (3, 3), (2, 1, 3, 3)),
    "vecdot": (la.vecdot, (2, 1, 3), (4, 3)),
    "ratio": (norm.ratio, (2, 1), (3,)),
    "outer": (la.outer, (2,), (3,)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SHAPES)
def test_gradients_have_the_shapes_and_dtypes_of_broadcast_arguments(name, dtype):
    f, *dims = SHAPES[name]
    arrays = [np.random.default_rng(1).uniform(1, 2, d).astype(dtype) for d in dims]
    y, back = vjp(f, *arrays)
    assert [(g.shape, g.dtype) for g in back(np.ones_like(y))] == [(a.shape, a.dtype) for a in arrays]
    gradients = grad(lambda *x: rnp.sum(f(*x) ** 2), (0, 1))
    assert [(h.shape, h.dtype) for h in jvp(gradients, tuple(arrays), tuple(arrays))[1]] == [
        (a.shape, a.dtype) for a in arrays
    ]


COMPOSED = {
    "inv": la.inv,
    "matrix_power": lambda a: la.matrix_power(a, 3),
    "matrix_power -1": lambda a: la.matrix_power(a, -1),
    "eigh": lambda a: la.eigh(a).eigenvectors * la.eigh(a).eigenvalues,
    "qr": lambda a: la.qr(a).R,
    "norm": la.norm,
    "matrix norm": lambda a: la.norm(a, "nuc"),
    "slogdet": lambda a: la.slogdet(a)[0] * la.slogdet(a)[1],
    "trace": la.trace,
    "diagonal": la.diagonal,
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", COMPOSED)
def test_composites_keep_float32_and_batch_as_the_loop(name, dtype):
    f = lambda a: rnp.sum(COMPOSED[name](a) ** 2)
    stack = STACK.astype(dtype)
    found = vmap(grad(f))(stack)
    loop = np.stack([grad(f)(a) for a in stack])
    assert found.dtype == loop.dtype == dtype
    assert np.abs(found - loop).max() <= 64 * np.finfo(dtype).eps * np.abs(loop).max()
    assert hvp(f, stack[0], stack[1]).dtype == dtype


def test_one_matrix_that_examples_share_is_factored_with_each_of_them():
    factor = exact.asarray([[2, 0], [1, 3]])
    b = exact.asarray([[1, 2], [3, 4], [5, 6]])
    one = lambda a, b: la.solve_triangular(a, b, lower=True)
    assert (vmap(one, (None, 0))(factor, b) == np.stack([one(factor, x) for x in b])).all()
    matrices = exact.asarray(rows([[[2, 0], [1, 3]], [[1, 0], [4, 5]]]))
    assert (vmap(one, (0, None))(matrices, b[0]) == np.stack([one(a, b[0]) for a in matrices])).all()
    assert (
        vmap(grad(lambda a: rnp.sum(one(a, b[0]))))(matrices)[1] == grad(lambda a: rnp.sum(one(a, b[0])))(matrices[1])
    ).all()


@pytest.mark.parametrize("name", ["inv", "det", "slogdet", "cholesky", "eigh", "eigvalsh", "matrix_power"])
def test_matrices_that_are_not_square_are_refused_by_shape(name):
    args = (2,) if name == "matrix_power" else ()
    for a in (np.ones((2, 3)), np.ones(3)):
        with pytest.raises(ShapeError, match=rf"{name.removesuffix('vals')}.*expected shape"):
            getattr(la, name)(a, *args)


def test_powers_and_products_refuse_what_they_cannot_take():
    with pytest.raises(InvalidInput, match="integer"):
        la.matrix_power(A, 0.5)
    with pytest.raises(ShapeError, match="two arrays"):
        la.multi_dot([A])
    with pytest.raises(ShapeError, match="two vectors"):
        la.outer(A, A)
    with pytest.raises(ShapeError, match="svdvals: expected shape"):
        la.svdvals(np.ones(3))


def test_an_empty_stack_gives_an_empty_stack():
    a = [[[2, 0], [0, 1]]]
    empty = exact.asarray(np.empty((0, 2, 2), object))
    assert la.cholesky(empty).shape == (0, 2, 2)
    assert la.eigvalsh(empty).shape == (0, 2)
    assert determinant.cofactor(empty, exact.asarray(a)[0]).shape == (0, 2, 2)
