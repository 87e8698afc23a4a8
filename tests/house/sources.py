"""The product's modules, read and parsed once for all tests of the house."""

import ast
import functools
from pathlib import Path


@functools.cache
def text(path: Path) -> str:
    """The text of a module."""
    return path.read_text()


@functools.cache
def tree(path: Path) -> ast.Module:
    """A module, parsed."""
    return ast.parse(text(path))


@functools.cache
def nodes(path: Path) -> list[ast.AST]:
    """All nodes of a module."""
    return list(ast.walk(tree(path)))
