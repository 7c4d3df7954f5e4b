"""Which code a function uses: what a stage's fingerprint says of the program.

From the function on, the source text is read and every name that it mentions is looked up: a
definition at the top level of one of our modules counts with all that it mentions itself, a name
of a library counts with the library's version. What is not mentioned does not count: a change of
the report does not train a model again. A class counts whole, so that methods that are called on
its values count too.
"""

import ast
import hashlib
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGE = __name__.partition(".")[0]
_ROOT = Path(__file__).parents[2]
_DISTRIBUTIONS = {"sklearn": "scikit-learn"}  # where it is not called as its module
_REST = ""  # the name of those statements of a module that define nothing
_WHOLE = "*"  # the name of all of them


@dataclass(frozen=True)
class _Module:
    """What stands at the top level of a module.

    Parameters
    ----------
    definitions : dict of str to tuple of ast.stmt
        Name -> the statements that define it; see `_REST`.
    imports : dict of str to (str, str)
        Name -> the module that it is imported from, and its name there: see `_WHOLE`.
    lines : tuple of str
        The source text.
    """

    definitions: dict[str, tuple[ast.stmt, ...]]
    imports: dict[str, tuple[str, str]]
    lines: tuple[str, ...]

    def text(self, statement: ast.stmt) -> str:
        """Give the source text of a statement, with its decorators."""
        decorators = getattr(statement, "decorator_list", [])
        first = min([statement.lineno, *(one.lineno for one in decorators)])
        return "".join(self.lines[first - 1 : statement.end_lineno])


@cache
def code_of(function: Callable[..., Any]) -> dict[str, str]:
    """Tell which code a function uses.

    Parameters
    ----------
    function : callable
        Defined at the top level of a module of voicegmm; of any other nothing is known.

    Returns
    -------
    dict of str to str
        Module of voicegmm -> the first 16 hex digits of the SHA-256 of those of its definitions
        that are used; library -> version.
    """
    if function.__module__.partition(".")[0] != _PACKAGE:
        return {}
    used: dict[str, set[str]] = defaultdict(set)
    libraries: set[str] = set()
    waiting = [(function.__module__, function.__qualname__.partition(".")[0])]
    while waiting:
        module, name = waiting.pop()
        if module.partition(".")[0] != _PACKAGE:
            libraries.add(module.partition(".")[0])
        elif name not in used[module]:
            used[module].add(name)
            waiting += _uses(module, name)
    code = {module: _digest(module, names) for module, names in sorted(used.items())}
    return code | {library: _version(library) for library in sorted(libraries)}


@cache
def _defined(module: str, name: str) -> tuple[str, str] | None:
    """Follow a name to the module that defines it; None for what is no name of a module."""
    if module.partition(".")[0] != _PACKAGE:
        return None if module.partition(".")[0] in sys.stdlib_module_names else (module, name)
    if name.isidentifier() and _path(f"{module}.{name}"):
        return f"{module}.{name}", _WHOLE
    known = _module(module)
    if name in (_REST, _WHOLE) or name in known.definitions:
        return module, name
    return _defined(*known.imports[name]) if name in known.imports else None


@cache
def _uses(module: str, name: str) -> frozenset[tuple[str, str]]:
    """Give what a definition mentions, where it is defined."""
    known = _module(module)
    names = known.definitions if name == _WHOLE else (_REST,)
    found = {(module, each) for each in names}
    for statement in known.definitions.get(name, ()):
        for node in ast.walk(statement):
            if isinstance(node, ast.Name):
                found.add(_defined(module, node.id) or (module, _REST))
            elif isinstance(node, ast.Import | ast.ImportFrom):
                places = (_defined(*place) for place in _imported(node).values())
                found |= {place for place in places if place}
    return frozenset(found)


def _digest(module: str, names: Iterable[str]) -> str:
    known = _module(module)
    statements = {each for name in names for each in known.definitions.get(name, ())}
    ordered = sorted(statements, key=lambda statement: statement.lineno)
    return hashlib.sha256("".join(map(known.text, ordered)).encode()).hexdigest()[:16]


def _version(library: str) -> str:
    try:
        return version(_DISTRIBUTIONS.get(library, library))
    except PackageNotFoundError:
        return "not installed"


def _path(module: str) -> Path | None:
    place = _ROOT.joinpath(*module.split("."))
    found = (place.with_suffix(".py"), place / "__init__.py")
    return next((path for path in found if path.is_file()), None)


@cache
def _module(name: str) -> _Module:
    path = _path(name)
    assert path is not None  # asked only of modules that are there
    text = path.read_text(encoding="utf-8")
    definitions: dict[str, tuple[ast.stmt, ...]] = defaultdict(tuple)
    imports: dict[str, tuple[str, str]] = {}
    for statement in _top_level(ast.parse(text).body):
        if isinstance(statement, ast.Import | ast.ImportFrom):
            imports |= _imported(statement)
            continue
        for target in _targets(statement) or [_REST]:
            definitions[target] += (statement,)
    return _Module(dict(definitions), imports, tuple(text.splitlines(keepends=True)))


def _top_level(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        if isinstance(statement, ast.If | ast.Try | ast.With):
            for part in ("body", "orelse", "finalbody"):
                yield from _top_level(getattr(statement, part, []))
        elif not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Constant):
            yield statement  # all but docstrings


def _targets(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        nodes = (node for target in targets for node in ast.walk(target))
        return [node.id for node in nodes if isinstance(node, ast.Name)]
    return []


def _imported(statement: ast.Import | ast.ImportFrom) -> dict[str, tuple[str, str]]:
    if isinstance(statement, ast.ImportFrom):
        module = statement.module or ""
        return {one.asname or one.name: (module, one.name) for one in statement.names}
    whole = {one.asname or one.name.partition(".")[0]: one.name for one in statement.names}
    return {name: (module, _WHOLE) for name, module in whole.items()}
