"""Every small change of a source file that a test ought to notice, by its syntax tree."""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Change = tuple[str, ast.AST]

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change, of the node of that number in the tree's order."""

    file: str
    line: int
    node: int
    kind: str
    was: str
    in_function: bool

    @property
    def name(self) -> str:
        """What docs/MUTATION.md calls it: without the line, which moves."""
        return f"{self.file}: {self.kind}: {self.was}"


def mutants(file: str, source: str) -> Iterator[Mutant]:
    """Every change of the file, in its order."""
    tree, lines = ast.parse(source), source.splitlines()
    skipped, inside = set(_skipped(tree)), set(_inside_functions(tree))
    for number, node in enumerate(ast.walk(tree)):
        if id(node) not in skipped:
            for kind, _ in _changes(node):
                was, line = " ".join(ast.unparse(node).split()), getattr(node, "lineno", 0)
                if isinstance(node, ast.Constant | ast.Continue):  # says nothing without its line
                    was = f"{was} in {lines[line - 1].strip()}"
                yield Mutant(file, line, number, kind, was[:100], id(node) in inside)


def mutated(source: str, mutant: Mutant) -> ast.Module:
    """The tree with that one change."""
    tree = ast.parse(source)
    node = next(node for number, node in enumerate(ast.walk(tree)) if number == mutant.node)
    changed = next(new for kind, new in _changes(node) if kind == mutant.kind)
    _Replace(node, changed).visit(tree)
    return ast.fix_missing_locations(tree)


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old = old
        self._new = new

    def visit(self, node: ast.AST) -> ast.AST:
        """Replace the one node."""
        return ast.copy_location(self._new, node) if node is self._old else super().visit(node)


def _skipped(tree: ast.AST) -> Iterator[int]:
    """Annotations, imports, texts and decorators: what does not run, or what no test should pin."""
    for node in ast.walk(tree):
        for part in _parts_that_do_not_count(node):
            yield from (id(one) for one in ast.walk(part))


def _inside_functions(tree: ast.AST) -> Iterator[int]:
    """What a call of a function runs, where the rest runs once, when the module is loaded."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield from (id(one) for statement in node.body for one in ast.walk(statement))


def _parts_that_do_not_count(node: ast.AST) -> list[ast.AST]:
    match node:
        case ast.FunctionDef(args=arguments):
            annotations = [one.annotation for one in arguments.args if one.annotation]
            return [*node.decorator_list, *annotations, *([node.returns] if node.returns else [])]
        case ast.ClassDef():
            return [*node.decorator_list]
        case ast.JoinedStr() | ast.Import() | ast.ImportFrom():
            return [node]
        case ast.AnnAssign():
            return [node.annotation]
        case ast.If() if ast.unparse(node.test) == "TYPE_CHECKING":
            return [node]
        case _:
            return []


def _changes(node: ast.AST) -> Iterator[Change]:
    change = CHANGES.get(type(node))
    return iter(()) if change is None else change(copy.deepcopy(node))


def _compare(node: ast.Compare) -> Iterator[Change]:
    if len(node.ops) == 1:
        node.ops = [COMPARISONS[type(node.ops[0])]()]
        yield "flip the comparison", node
    else:
        for number in range(len(node.ops)):
            new = copy.deepcopy(node)
            new.ops[number] = COMPARISONS[type(node.ops[number])]()
            yield f"flip comparison {number + 1}", new


def _bool_op(node: ast.BoolOp) -> Iterator[Change]:
    other = copy.deepcopy(node)
    other.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    yield "and for or", other
    for number in range(len(node.values)):
        new = copy.deepcopy(node)
        del new.values[number]
        yield f"drop operand {number + 1}", new.values[0] if len(new.values) == 1 else new


def _unary_op(node: ast.UnaryOp) -> Iterator[Change]:
    if isinstance(node.op, ast.Not):
        yield "drop the not", node.operand


def _condition(node: ast.If | ast.IfExp) -> Iterator[Change]:
    if not isinstance(node.test, ast.Compare | ast.BoolOp | ast.UnaryOp):  # those have changes of their own
        node.test = ast.UnaryOp(ast.Not(), node.test)
        yield "negate the condition", node


def _constant(node: ast.Constant) -> Iterator[Change]:
    value = node.value
    if isinstance(value, bool):
        yield "negate", ast.Constant(not value)
    elif isinstance(value, int | float):
        yield "one more", ast.Constant(value + 1)
        yield "one less", ast.Constant(value - 1)


def _bin_op(node: ast.BinOp) -> Iterator[Change]:
    if type(node.op) in OPERATORS:
        node.op = OPERATORS[type(node.op)]()
        yield "another operator", node


def _statement(node: ast.Expr | ast.AugAssign | ast.Continue) -> Iterator[Change]:
    if not isinstance(node, ast.Expr) or isinstance(node.value, ast.Call):
        yield "drop the statement", ast.Pass()


def _return(node: ast.Return) -> Iterator[Change]:
    if node.value is None:
        yield "drop the return", ast.Pass()


CHANGES: dict[type[ast.AST], Callable[..., Iterator[Change]]] = {
    ast.Compare: _compare,
    ast.BoolOp: _bool_op,
    ast.UnaryOp: _unary_op,
    ast.If: _condition,
    ast.IfExp: _condition,
    ast.Constant: _constant,
    ast.BinOp: _bin_op,
    ast.Expr: _statement,
    ast.AugAssign: _statement,
    ast.Continue: _statement,
    ast.Return: _return,
}
