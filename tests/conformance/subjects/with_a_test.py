"""A subject in a file that also holds what verifies it, and a contract of its own."""

import refgrad
from refgrad.conformance import verify
from refgrad.contracts import get, register_contract

MAML = get("maml_gradient")
CHECKED = register_contract(MAML)


def square(x):
    return x * x


def check():
    return verify(square, CHECKED).exit_code or refgrad.assert_conforms(square, MAML)
