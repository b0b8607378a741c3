"""Decode the columns of a task as the database or a worker delivers them: JSON texts, raw bytes and schemas.

`rework/task.py`, `rework/snapshot.py` and `rework/context.py` use it, so that all of them give the same values and
errors.
"""

from __future__ import annotations

import json
from typing import Any, cast

from rework import io, values


def decode_value(stored: str | bytes | None, is_raw: bool, specs: io.Specs | None, what: str) -> Any:
    """Return an input or output as a Python value, or None if there is none. `what` is `input` or `output`.

    Raise TypeError if it is raw bytes, which have no declared meaning. Raise ValueError if it does not satisfy `specs`.
    """
    if stored is None:
        return None
    if is_raw:
        raise TypeError(f'the {what} is raw bytes, which cannot be decoded: read `.raw_{what}`')
    return io.decode(specs, stored)


def stored_bytes(text: str | None, data: bytes | None) -> bytes | None:
    """Return an input or output as bytes: raw bytes as they are, JSON as UTF-8. Return None if there is none."""
    return data if text is None else bytes(text, 'utf-8')


def specs_of_schema(schema: str | None) -> io.Specs | None:
    """Return the declaration in the JSON text of a schema, or None if `rework.io` declared nothing."""
    return io.specs_of(json.loads(schema)) if schema else None


def specs_as_dicts(specs: io.Specs | None) -> list[dict[str, Any]] | None:
    """Return a declaration as a list of dicts, one for each input or output, or None if there is no declaration."""
    return None if specs is None else [spec.to_json() for spec in specs]


def decode_metadata(text: str | None) -> dict[str, Any]:
    """Return metadata as a dict, which is empty if there is none."""
    return {} if text is None else cast('dict[str, Any]', values.loads(text) or {})


def traceback_of(error: str | None) -> str | None:
    """Return the traceback in the JSON text of an error, or None if it has none."""
    decoded = None if error is None else json.loads(error)
    traceback = decoded.get('traceback') if isinstance(decoded, dict) else None
    return traceback.rstrip() if traceback else None
