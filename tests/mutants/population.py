"""Which changes of the package count as mutants: cosmic-ray's, less those that change nothing a program could do.

Cosmic-ray replaces each operator by all others of its kind. Most of these are killed by anything that runs the line
(a matrix product as a bitwise or) and would only raise the figure, so here each operator becomes the one that is most
easily mistaken for it, and what is left is what a careful reader could overlook.
"""

from __future__ import annotations

import ast
import difflib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.ast.ast_query import ASTQuery
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_item import MutationSpec

OPERATORS = [
    "NumberReplacer",  # n + 1 and n - 1
    "AddNot",
    "RemoveDecorator",
    "ExceptionReplacer",
    "ZeroIterationForLoop",
    "ReplaceAndWithOr",
    "ReplaceOrWithAnd",
    "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "ReplaceUnaryOperator_USub_UAdd",
    "ReplaceUnaryOperator_Delete_Not",
    "ReplaceBinaryOperator_Add_Sub",
    "ReplaceBinaryOperator_Sub_Add",
    "ReplaceBinaryOperator_Mul_Div",
    "ReplaceBinaryOperator_Mul_Add",
    "ReplaceBinaryOperator_Div_Mul",
    "ReplaceBinaryOperator_FloorDiv_Mul",
    "ReplaceBinaryOperator_Mod_FloorDiv",
    "ReplaceBinaryOperator_Pow_Mul",
    "ReplaceBinaryOperator_BitOr_BitAnd",
    "ReplaceBinaryOperator_BitAnd_BitOr",
    "ReplaceComparisonOperator_Eq_NotEq",
    "ReplaceComparisonOperator_NotEq_Eq",
    "ReplaceComparisonOperator_Is_IsNot",
    "ReplaceComparisonOperator_IsNot_Is",
    "ReplaceComparisonOperator_Lt_LtE",
    "ReplaceComparisonOperator_Lt_GtE",
    "ReplaceComparisonOperator_LtE_Lt",
    "ReplaceComparisonOperator_LtE_Gt",
    "ReplaceComparisonOperator_Gt_GtE",
    "ReplaceComparisonOperator_Gt_LtE",
    "ReplaceComparisonOperator_GtE_Gt",
    "ReplaceComparisonOperator_GtE_Lt",
]


@dataclass(frozen=True)
class Mutant:
    """One change of one line: where, and the line before and after."""

    spec: MutationSpec
    before: str
    after: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What names the mutant while other lines of the file come and go."""
        return str(self.spec.module_path), self.spec.definition_name or "", self.before, self.after

    @property
    def place(self) -> str:
        return f"{self.spec.module_path}:{self.spec.start_pos[0]}"


class _Behaviour(ast.NodeTransformer):
    """The tree without what does nothing, says something to a person only, or tells the tests where to look."""

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        # that it raises, and which class; not the words
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return ast.Raise(exc=raised, cause=None)

    def visit_If(self, node: ast.If) -> ast.AST:
        if "TYPE_CHECKING" in ast.unparse(
            node.test
        ):  # the names are bound on demand; the type checker sees to the rest
            return ast.Pass()
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "case":  # the domain of a primitive's tests
            return ast.Constant(None)
        if isinstance(node.func, ast.Name) and node.func.id == "zip":  # strict=True asserts what cannot be otherwise
            node.keywords = []
        return self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        # what has one element has the same first and last: x[-1] is no mutant of x[0], and x[1] is
        if ast.unparse(node.slice) == "-1":
            node.slice = ast.Constant(0)
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arguments(self, node: ast.arguments) -> ast.AST:
        # the bare * is taken for a product, and / is the other separator
        names = [a.arg for a in (*node.posonlyargs, *node.args, *node.kwonlyargs)]
        defaults = [self.visit(d) for d in (*node.defaults, *node.kw_defaults) if d is not None]
        rest = [a.arg for a in (node.vararg, node.kwarg) if a is not None]
        return ast.Tuple([*map(ast.Constant, names + rest), *defaults], ast.Load())


def behaviour(source: str) -> str | None:
    """What the tests could notice of a module; None if it is no Python at all."""
    try:
        compile(source, "mutant", "exec")
    except SyntaxError:
        return None
    return ast.dump(_Behaviour().visit(ast.parse(source)))


def specifications(paths: list[Path]) -> Iterator[MutationSpec]:
    """Every place where one of `OPERATORS` applies."""
    for path in paths:
        nodes = list(ast_nodes(get_ast(path.read_text())))
        for name in OPERATORS:
            operator = get_operator(f"core/{name}")()
            places = ((node, *place) for node in nodes for place in operator.mutation_positions(node))
            for occurrence, (node, start, end) in enumerate(places):
                definition = ASTQuery(node).get_definition_name()
                yield MutationSpec(path, f"core/{name}", occurrence, start, end, definition_name=definition)


def mutants(paths: list[Path], seed: int) -> Iterator[Mutant]:
    """The mutants of the files, each once, in an order that the seed determines."""
    specs = list(specifications(paths))
    random.Random(seed).shuffle(specs)
    sources = {path: path.read_text() for path in paths}
    known = {path: {behaviour(source)} for path, source in sources.items()}
    for spec in specs:
        source = sources[spec.module_path]
        changed = mutate_code(source, get_operator(spec.operator_name)(), spec.occurrence)
        does = behaviour(changed)
        if does is None or does in known[spec.module_path]:
            continue
        known[spec.module_path].add(does)
        lines = list(difflib.unified_diff(source.splitlines(), changed.splitlines(), n=0, lineterm=""))[3:]
        text = {sign: " ".join(line[1:].strip() for line in lines if line[0] == sign).strip() for sign in "-+"}
        yield Mutant(spec, text["-"], text["+"])
