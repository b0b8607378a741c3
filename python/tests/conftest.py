"""Fixtures of all tests: a database with registered commands, and a connection to it."""

import os
from pathlib import Path

import pytest

from old_rework import old, old_python  # noqa: F401

# The import is needed when the package is not installed, so that pytest does not know the plugin.
from rework.testing import rework, rework_server  # noqa: F401

_BUILT_PROGRAM = Path(__file__).parents[2] / 'target/debug/rework'

# An installed wheel contains the program.
if _BUILT_PROGRAM.is_file() and 'REWORK_TEST_WHEEL' not in os.environ:
    os.environ.setdefault('REWORK_BINARY', str(_BUILT_PROGRAM))

COMMANDS = """
[[operation]]
name = "echo"
shell = 'cat > "$REWORK_OUTPUT"'

[[operation]]
name = "bytes"
output = "bytes"
shell = 'cat > "$REWORK_OUTPUT"'

[[operation]]
name = "says"
shell = 'echo I am running; echo "watch out" >&2'

[[operation]]
name = "exits"
shell = 'exit 3'

[[operation]]
name = "sleeps"
grace = "0s"
command = ["sleep", "1000"]
"""


@pytest.fixture
def jobs(rework, tmp_path):
    """Return the DSN of a database in which the operations of COMMANDS are registered."""
    manifest = tmp_path / 'commands.toml'
    manifest.write_text(COMMANDS)
    rework.register(manifest)
    return rework.dsn


@pytest.fixture
def sql(rework):
    """Give a function that runs a statement on a connection of its own and returns the rows."""
    import psycopg

    with psycopg.connect(rework.dsn, autocommit=True) as connection:

        def run(statement, *params):
            cursor = connection.execute(statement, params or None)
            return cursor.fetchall() if cursor.description else None

        yield run
