"""Every public name of the package has a docstring, because people read it in their editors."""

import ast
from pathlib import Path

import rework

PACKAGE = Path(rework.__file__).parent
NAMED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def undocumented(node, path):
    """Yield the names without docstring in a module or class. A subclass may rely on the docstrings of its base."""
    for child in node.body:
        if not isinstance(child, NAMED) or child.name.startswith('_'):
            continue
        if not ast.get_docstring(child):
            yield f'{path}.{child.name}'
        if isinstance(child, ast.ClassDef) and not child.bases:
            yield from undocumented(child, f'{path}.{child.name}')


def test_every_public_name_has_a_docstring():
    found = []
    for file in sorted(PACKAGE.rglob('*.py')):
        module = ast.parse(file.read_text())
        path = file.relative_to(PACKAGE)
        if not ast.get_docstring(module):
            found.append(str(path))
        found.extend(undocumented(module, path))
    assert found == []
