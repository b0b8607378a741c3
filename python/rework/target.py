"""Find the operation that a caller names, and encode the input and metadata for a task or schedule of it.

`rework/api.py` uses it to schedule a task, and `rework/schedules.py` to declare a schedule.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from rework import io, values
from rework.database import Session
from rework.errors import Ambiguous, BadInput, BadInputType, UnknownOperation


class Target(NamedTuple):
    """A registered operation, for which a task or schedule is to be created."""

    id: int
    name: str
    domain: str
    #: The inputs that it declares by `rework.io`, or None if it declares none.
    specs: io.Specs | None


def find_operation(db: Session, opname: str, domain: str | None, module: str | None = None) -> Target:
    """Return the operation with this name, restricted to a domain and to a module if they are given.

    Raise UnknownOperation if there is none. Raise Ambiguous if several domains have it.
    """
    if module is not None:
        domain = _domain_of_module(db, opname, domain, module)
    row = db.row('find_operation', name=opname, domain=domain)
    if row is None:
        raise UnknownOperation(f'operation `{opname}` is not registered')
    operation_id, operation_domain, schema = row
    specs = io.specs_of(json.loads(schema)) if schema else None
    return Target(operation_id, opname, operation_domain, specs)


def _domain_of_module(db: Session, opname: str, domain: str | None, module: str) -> str:
    domains = [row[0] for row in db.rows('module_domains', name=opname, domain=domain, module=module)]
    if not domains:
        raise UnknownOperation(
            f'operation `{opname}` is not registered from `{module}`',
            'see `rework list-operations`',
        )
    if len(domains) > 1:
        raise Ambiguous(
            f'operation `{opname}` is registered from `{module}` in several domains: {", ".join(domains)}',
            f'choose one: `domain={domains[0]!r}`',
        )
    return str(domains[0])


def encode_input(target: Target, inputdata: Any, rawinputdata: bytes | None) -> tuple[str | None, bytes | None]:
    """Return the input as JSON text, or as bytes. Both are None if the task has no input.

    Raise BadInput or BadInputType if the input does not satisfy what the operation declares.
    Raise TypeError if JSON cannot carry it, or if both arguments are given.
    """
    if rawinputdata is not None:
        if inputdata is not None:
            raise TypeError('`inputdata` and `rawinputdata`: give one of the two')
        if not isinstance(rawinputdata, (bytes, bytearray, memoryview)):
            raise TypeError(f'`rawinputdata` must be bytes, not {rawinputdata!r:.100}')
        return None, bytes(rawinputdata)
    # With declared inputs, no input means an empty dict: defaults are filled in, and missing ones are reported.
    if inputdata is None and not target.specs:
        return None, None
    if target.specs is None:
        return io.encode(None, inputdata, 'input'), None
    hint = f'see `rework schedule {target.name} --help`'
    try:
        return io.encode(target.specs, inputdata, 'input'), None
    except TypeError as error:
        raise BadInputType(str(error), hint) from error.__cause__
    except ValueError as error:
        raise BadInput(str(error), hint) from error.__cause__


def metadata_json(metadata: dict[str, Any] | None) -> str | None:
    """Return metadata as JSON text, or None if there is none.

    Raise TypeError if it is not a dict, or if JSON cannot carry it.
    """
    if not metadata:
        return None
    if not isinstance(metadata, dict):
        raise TypeError(f'`metadata` must be a dict, not {metadata!r:.100}')
    return values.dumps(metadata, 'metadata')
