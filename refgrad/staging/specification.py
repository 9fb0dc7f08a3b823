"""Arguments described in a few characters: ``"f8[8,16] f8[16] 3"``.

=========================  ========================================================================
``f8[8,16]``               an array: a dtype as NumPy abbreviates it (f4, f8, i8, b1, float32, ...)
``f8[]``                   an array of shape ()
``float``                  a Python float
``(f8[3], f8[])``          a tuple; ``[...]`` a list; ``{W: f8[2,3], b: f8[3]}`` a dict
``3``, ``True``, ``'sum'``  a static value: itself
=========================  ========================================================================
"""

from __future__ import annotations

import ast
from typing import Any

import numpy as np

from refgrad.errors import UsageError
from refgrad.typing import Tree

__all__ = ["examples"]


def examples(text: str) -> tuple[Tree, ...]:
    """Arguments as `text` describes them, one for each word.

    The numbers lie in (0.25, 0.75), all different, and square matrices are well conditioned: only shapes and dtypes
    are recorded, but the function runs once, and should find numbers that suit a logarithm or a linear system.

    Raises
    ------
    UsageError
        If a word describes nothing.

    Examples
    --------
    >>> from refgrad.staging.specification import examples
    >>> x, steps = examples("f4[2,3] 5")
    >>> x.shape, x.dtype.name, steps
    ((2, 3), 'float32', 5)
    """
    rng = np.random.default_rng(0)
    return tuple(_argument(word, rng) for word in _words(text))


def _words(text: str) -> list[str]:
    """The parts of `text` between blanks that are in no bracket."""
    words, depth, word = [], 0, ""
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        if c.isspace() and depth == 0:
            words.append(word)
            word = ""
        else:
            word += c
    return [w for w in (*words, word) if w]


def _argument(word: str, rng: np.random.Generator) -> Tree:
    try:
        return _value(ast.parse(word.replace("[]", "[()]"), mode="eval").body, rng)
    except (SyntaxError, ValueError, TypeError):
        raise UsageError(
            f"expected arguments like 'f8[8,16] f8[16]', one word for each; got {word!r}. An array is a dtype and its "
            "shape, f8[8,16]; a number of its own is float; containers are (f8[3], f8[]) and {W: f8[2,3]}"
        ) from None


def _value(node: ast.expr, rng: np.random.Generator) -> Any:
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        lengths = ast.literal_eval(node.slice)
        return _array(np.dtype(node.value.id), lengths if isinstance(lengths, tuple) else (lengths,), rng)
    if isinstance(node, ast.Name) and node.id == "float":
        return float(rng.uniform(0.25, 0.75))
    if isinstance(node, ast.Tuple):
        return tuple(_value(e, rng) for e in node.elts)
    if isinstance(node, ast.List):
        return [_value(e, rng) for e in node.elts]
    if isinstance(node, ast.Dict):
        keys = [k.id if isinstance(k, ast.Name) else ast.literal_eval(k or "") for k in node.keys]
        return {k: _value(v, rng) for k, v in zip(keys, node.values, strict=True)}
    return ast.literal_eval(node)


def _array(dtype: np.dtype, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    if dtype.kind not in "fiub":
        raise TypeError(dtype)
    if dtype.kind != "f":
        return np.zeros(shape, dtype)
    x = rng.uniform(0.25, 0.75, shape).astype(dtype)
    if len(shape) > 1 and shape[-1] == shape[-2]:
        x += shape[-1] * np.eye(shape[-1], dtype=dtype)
    return np.asarray(x)
