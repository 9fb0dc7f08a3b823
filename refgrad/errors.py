"""Every error refgrad raises on purpose.

Each message says what was expected, what came and what to write instead. All of them derive from
`RefgradError` and from the built-in exception that a caller would expect in its place.
"""

from __future__ import annotations

from numpy.linalg import LinAlgError

__all__ = [
    "BatchedValue", "ChangedValue", "EscapedTracer", "HiddenState", "Inconclusive", "IndefiniteHessian",
    "InnerNotConverged", "InvalidInput", "Kink", "LongProgram", "MissingExtra", "NeumannDiverges", "NoDerivative",
    "NoNearbySolution", "NotAMinimiser", "NotApplicable", "NotConverged", "NotFinite", "NotPositiveDefinite",
    "NotRational", "OutsideDomain", "RefgradError", "SelectionDependent", "ShapeError", "SingularMatrix",
    "StagedValue", "SubjectNotFound", "TracedAssignment", "Undecided", "UndecidedSingular", "UsageError",
    "WrongDerivative",
]  # fmt: skip


class RefgradError(Exception):
    """The root of refgrad's own errors."""


class NotRational(RefgradError, TypeError):
    """A rational number was asked for something only a real number can give (exp, log, sqrt, a float)."""


class Undecided(RefgradError, ArithmeticError):
    """A comparison of two balls that overlap: neither answer is certain at this precision."""


class Kink(Undecided):
    """A derivative was asked for in exact arithmetic at a point where a function on the way has none."""


class Inconclusive(RefgradError, ArithmeticError):
    """A result could not be enclosed tightly enough within the precision allowed."""


class OutsideDomain(RefgradError, ZeroDivisionError, ValueError):
    """An exact result does not exist: a logarithm of -1, a division by 0, a pole."""


class SingularMatrix(RefgradError, LinAlgError):
    """A linear system without a unique solution."""


class UndecidedSingular(Undecided, SingularMatrix):
    """A system of balls that may be singular, or may not be at a higher precision."""


class NotPositiveDefinite(RefgradError, LinAlgError):
    """A matrix without a Cholesky factor."""


class IndefiniteHessian(RefgradError, LinAlgError):
    """A Hessian that had to be positive definite has a direction of negative or zero curvature."""


class NotAMinimiser(IndefiniteHessian):
    """A stationary point of the inner problem is a saddle or a maximum.

    Attributes
    ----------
    inertia : tuple of int, or None
        How many eigenvalues of the Hessian are positive, negative and zero, where all are known.
    """

    def __init__(self, message: str, inertia: tuple[int, int, int] | None) -> None:
        super().__init__(message)
        self.inertia = inertia


class SelectionDependent(SingularMatrix):
    """An inner problem has many solutions, which the outer loss tells apart: its derivative depends on the choice."""


class NoNearbySolution(SingularMatrix):
    """The inner problem's Hessian is singular, and there are directions of phi in which no solution is near."""


class NotConverged(RefgradError, ArithmeticError):
    """An iterative method stopped before its residual or gap met the tolerance asked for."""


class InnerNotConverged(NotConverged):
    """The point handed over is not stationary for the inner problem.

    Attributes
    ----------
    distance : float
        The length of a Newton step from there: how far the solution is, to first order.
    """

    def __init__(self, message: str, distance: float) -> None:
        super().__init__(message)
        self.distance = distance


class NeumannDiverges(NotConverged):
    """A Neumann series has been proved to diverge.

    Attributes
    ----------
    bound : float
        A lower bound of the spectral radius of ``I - lr A``, above 1.
    """

    def __init__(self, message: str, bound: float) -> None:
        super().__init__(message)
        self.bound = bound


class ShapeError(RefgradError, ValueError):
    """Arrays whose shapes do not fit one another or the contract."""


class InvalidInput(RefgradError, ValueError):
    """An argument of the wrong value: NaN, empty, a negative count."""


class NoDerivative(RefgradError, TypeError):
    """A derivative was asked for where none is defined: an integer input, a function without a rule."""


class WrongDerivative(RefgradError, ArithmeticError):
    """Two ways of computing one derivative disagree: a rule is wrong."""


class EscapedTracer(RefgradError, RuntimeError):
    """A traced value was used after the transformation that made it had ended."""


class ChangedValue(RefgradError, RuntimeError):
    """What a derivative or a recorded program depends on was changed before it was used again."""


class HiddenState(RefgradError, RuntimeError):
    """A function that is batched, run again or frozen depends on what its calls change, such as random generators."""


class NotFinite(RefgradError, ArithmeticError):
    """An operation on finite numbers gave infinity or NaN; `refgrad.debug` looks for it."""


class BatchedValue(RefgradError, TypeError):
    """Inside `vmap`, a branch or an index needs one value where there is one for each example."""


class StagedValue(RefgradError, TypeError):
    """A value of a staged function was used to decide what Python does: the program is recorded only once."""


class LongProgram(RefgradError, RuntimeError):
    """A staged function has more operations than its program may have: a loop over tasks or examples is unrolled."""


class TracedAssignment(RefgradError, TypeError):
    """An element of a traced array was assigned to, which cannot change, or a traced value to one of a plain array."""


class NotApplicable(RefgradError, ValueError):
    """A formula or a theorem says nothing about this problem: one for two tasks only, say, or for full rank."""


class MissingExtra(RefgradError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""


class UsageError(RefgradError, ValueError):
    """A command or `refgrad.verify` was called with arguments that do not fit together."""


class SubjectNotFound(RefgradError, ImportError):
    """The function to be verified could not be imported."""
