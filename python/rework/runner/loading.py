"""A module out of its file, as `python FILE` would find it, but under its own name."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import os
import sys
from types import CodeType, ModuleType
from typing import Optional, Tuple


class _Loader(importlib.machinery.SourceFileLoader):
    """Reads the source each time: a cached one of the same second and size may be of another version."""

    def get_code(self, fullname: str) -> Optional[CodeType]:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def load(path: str) -> ModuleType:
    """The module of a file; one that lies in a package is loaded as part of it, with its parents."""
    root, name = place(path)
    sys.path.insert(0, root)
    if '.' in name:
        importlib.import_module(name.rpartition('.')[0])
    spec = importlib.util.spec_from_loader(name, _Loader(name, path))
    if spec is None:
        raise ImportError(f'`{path}` cannot be loaded as a module')
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


def place(path: str) -> Tuple[str, str]:
    """The folder from which it is imported, and its dotted name there."""
    folder, file = os.path.split(os.path.abspath(path))
    names = [os.path.splitext(file)[0]]
    while os.path.isfile(os.path.join(folder, '__init__.py')):
        folder, package = os.path.split(folder)
        names.insert(0, package)
    if names[-1] == '__init__' and len(names) > 1:
        names.pop()
    return folder, '.'.join(names)
