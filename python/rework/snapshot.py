"""A snapshot of a task: everything about it, read from the database in one statement. `Task.snapshot()` returns it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from rework import io
from rework.compat import status_of
from rework.database import Row
from rework.stored import (
    decode_metadata,
    decode_value,
    specs_as_dicts,
    specs_of_schema,
    stored_bytes,
    traceback_of,
)


@dataclass(frozen=True)
class TaskSnapshot:
    """A task as it was at one moment. To read its attributes does not query the database.

    The attributes have the names and meanings of those of `Task`.
    """

    tid: int
    #: The id of the operation.
    operation: int
    #: `delayed`, `waiting`, `queued`, `running`, `aborting`, `done`, `failed`, `aborted` or `lost`.
    state: str
    #: The id of the worker that claimed the task last, or None.
    worker: int | None
    #: The number of attempts that were used.
    attempt: int
    #: Why the task ended as it did, or None.
    deathinfo: str | None
    #: The traceback of the exception that the operation raised, or None.
    traceback: str | None = field(repr=False)
    #: The last progress report, with the keys `done`, `total` and `message`, or None.
    progress: dict[str, Any] | None
    #: The metadata that the task was scheduled with, which may be empty.
    metadata: dict[str, Any] = field(repr=False)
    #: The input and the output as stored: raw bytes, or the text of JSON. None if there is none.
    raw_input: bytes | None = field(repr=False)
    raw_output: bytes | None = field(repr=False)
    _input_is_raw: bool = field(repr=False)
    _output_is_raw: bool = field(repr=False)
    _input_specs: io.Specs | None = field(repr=False)
    _output_specs: io.Specs | None = field(repr=False)

    @classmethod
    def from_row(cls, tid: int, row: Row) -> TaskSnapshot:
        """Return the snapshot of a row of `sql/task_snapshot.sql`."""
        (
            state,
            operation,
            worker,
            attempt,
            reason,
            error,
            progress,
            metadata,
            input_text,
            input_bytes,
            input_schema,
            output_text,
            output_bytes,
            output_schema,
        ) = row
        return cls(
            tid=tid,
            operation=operation,
            state=state,
            worker=worker,
            attempt=attempt,
            deathinfo=reason,
            traceback=traceback_of(error),
            progress=None if progress is None else json.loads(progress),
            metadata=decode_metadata(metadata),
            raw_input=stored_bytes(input_text, input_bytes),
            raw_output=stored_bytes(output_text, output_bytes),
            _input_is_raw=input_bytes is not None,
            _output_is_raw=output_bytes is not None,
            _input_specs=specs_of_schema(input_schema),
            _output_specs=specs_of_schema(output_schema),
        )

    @property
    def id(self) -> int:
        """Return the id of the task, as `tid` does."""
        return self.tid

    @property
    def status(self) -> str | None:
        """Return `queued`, `running` or `done`. `done` means that the task has ended, in whatever way."""
        return status_of(self.state)

    @property
    def aborted(self) -> bool:
        """Return whether the end of the task was requested: its state is `aborting` or `aborted`."""
        return self.state in ('aborting', 'aborted')

    @property
    def inputspec(self) -> list[dict[str, Any]] | None:
        """Return the declared inputs as dicts, or None if `rework.io` declared none."""
        return specs_as_dicts(self._input_specs)

    @property
    def outputspec(self) -> list[dict[str, Any]] | None:
        """Return the declared outputs as dicts, or None if `rework.io` declared none."""
        return specs_as_dicts(self._output_specs)

    @property
    def input(self) -> Any:
        """Return the input, or None if there is none. Moments are evaluated at each read.

        Raise TypeError if it is raw bytes. Raise ValueError if it does not satisfy the declaration.
        """
        return decode_value(self.raw_input, self._input_is_raw, self._input_specs, 'input')

    @property
    def output(self) -> Any:
        """Return the output, or None if there is none.

        Raise TypeError if it is raw bytes. Raise ValueError if it does not satisfy the declaration.
        """
        return decode_value(self.raw_output, self._output_is_raw, self._output_specs, 'output')
