"""A database with the schema for each test, and operations that are commands."""

import os
from pathlib import Path

import pytest

# Here they are, also where the package is not installed and pytest knows of no plugin.
from rework.testing import rework, rework_server  # noqa: F401

_BUILT = Path(__file__).parents[2] / 'target/debug/rework'

# The wheel brings its own.
if _BUILT.is_file() and 'REWORK_TEST_WHEEL' not in os.environ:
    os.environ.setdefault('REWORK_BINARY', str(_BUILT))

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
def jobs(rework, tmp_path):  # noqa: F811
    """The DSN of a database in which some commands are registered."""
    manifest = tmp_path / 'commands.toml'
    manifest.write_text(COMMANDS)
    rework.register(manifest)
    return rework.dsn


@pytest.fixture
def sql(rework):  # noqa: F811
    """Runs a statement behind everybody's back, and gives its rows."""
    import psycopg

    with psycopg.connect(rework.dsn, autocommit=True) as connection:

        def run(statement, *params):
            cursor = connection.execute(statement, params or None)
            return cursor.fetchall() if cursor.description else None

        yield run
