"""Join the rows of a task's log into lines.

Most lines are one row. If a line stayed without its newline for a moment, it has several rows: each of them continues
the line of the row before it that has the same run, stream and level.
"""

from __future__ import annotations

import dataclasses
import datetime

from rework.database import Row, Session

#: The number of rows that one statement fetches: enough to make round trips rare.
_PAGE = 5000


@dataclasses.dataclass
class _Line:
    """A line, as far as its rows were read."""

    #: The id of its last row.
    id: int
    #: The time of its first row, in whole seconds since 1970.
    seconds: int
    stream: str
    level: str
    #: The bytes of the line, without those that can never be a part of the last state.
    text: bytearray

    def append(self, row_id: int, text: bytes) -> None:
        """Add the row that continues the line."""
        overwrites = b'\r' in text or self.text.endswith(b'\r')
        self.id = row_id
        self.text += text
        if overwrites:
            # Carriage returns at the end are kept, for the next row.
            self.text = last_state(self.text) + self.text[len(self.text.rstrip(b'\r')) :]

    def __str__(self) -> str:
        time = datetime.datetime.fromtimestamp(self.seconds)
        text = last_state(self.text).decode('utf-8', 'replace')
        return f'{self.stream}:{self.level}: {time:%Y-%m-%d %H:%M:%S}: {text}'


class _LogLines:
    """The lines of a log in the order in which they began."""

    def __init__(self) -> None:
        self.lines: list[_Line] = []
        #: The last line of each run, stream and level.
        self._last: dict[tuple[int, str, str], _Line] = {}

    def knows_line_of(self, row: Row) -> bool:
        """Return whether a row with the same run, stream and level was added."""
        return _key(row) in self._last

    def add(self, row: Row) -> None:
        """Add the next row: columns of `sql/read_log.sql`."""
        row_id, seconds, _, stream, level, text, continues = row
        line = self._last.get(_key(row)) if continues else None
        if line is None:
            line = _Line(row_id, seconds, stream, level, bytearray(text))
            self.lines.append(line)
            self._last[_key(row)] = line
        else:
            line.append(row_id, text)


def read_lines(db: Session, task: int, after: int) -> list[tuple[int, str]]:
    """Return the lines of a task that end after the row with the id `after`, as pairs of id and text, by their ids."""
    log, position = _LogLines(), after
    while True:
        page = db.rows('read_log', task=task, after=position, rows=_PAGE)
        for row in page:
            row_id, _, run, stream, level, _, continues = row
            if after and continues and not log.knows_line_of(row):
                found = db.rows('line_beginning', task=task, run=run, stream=stream, level=level, before=row_id)
                for earlier in found:
                    log.add(earlier)
            log.add(row)
        if len(page) < _PAGE:
            return [(line.id, str(line)) for line in sorted(log.lines, key=lambda line: line.id)]
        position = page[-1][0]


def last_state(text: bytearray) -> bytearray:
    """Return the text behind the last carriage return, which overwrites what is before it. One at the end is ignored.

    Progress bars use carriage returns.
    """
    return text.rstrip(b'\r').rpartition(b'\r')[2]


def _key(row: Row) -> tuple[int, str, str]:
    return row[2], row[3], row[4]
