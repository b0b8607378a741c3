"""Import a module from the path of its file, under the name that `import` would use for it."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import os
import sys
from types import CodeType, ModuleType


class _SourceLoader(importlib.machinery.SourceFileLoader):
    """Compiles the source each time. A cached file could be of an older version with the same size and second."""

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def load(path: str) -> ModuleType:
    """Import the module in a file. If the file is in a package, the packages around it are imported first.

    Raise ImportError if the file cannot be imported as a module, or whatever the module itself raises.
    """
    root, name = _import_root_and_name(path)
    sys.path.insert(0, root)
    if '.' in name:
        importlib.import_module(name.rpartition('.')[0])
    spec = importlib.util.spec_from_loader(name, _SourceLoader(name, path))
    if spec is None:
        raise ImportError(f'`{path}` cannot be loaded as a module')
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


def _import_root_and_name(path: str) -> tuple[str, str]:
    """Return the folder from which a module is imported, and its dotted name in that folder."""
    folder, file = os.path.split(os.path.abspath(path))
    names = [os.path.splitext(file)[0]]
    while os.path.isfile(os.path.join(folder, '__init__.py')):
        folder, package = os.path.split(folder)
        names.insert(0, package)
    if names[-1] == '__init__' and len(names) > 1:
        names.pop()
    return folder, '.'.join(names)
