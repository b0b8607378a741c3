"""Declare schedules, and remove them. A schedule is an operation with a cron rule.

Rules are parsed by the program `rework` alone, so that all clients interpret them equally.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from rework import binary
from rework.database import require_dsn, session
from rework.target import encode_input, find_operation, metadata_json


def prepare(
    engine: object,
    opname: str,
    rule: str | None = None,
    domain: str | None = 'default',
    inputdata: Any = None,
    host: str | None = None,
    metadata: dict[str, Any] | None = None,
    rawinputdata: bytes | None = None,
    _anyrule: bool = False,
    *,
    zone: str | None = None,
    priority: int | None = None,
    capabilities: Sequence[str] = (),
    missed: str = 'none',
    overlap: str = 'allow',
) -> int:
    """Declare a schedule: an operation that is run again and again, by a cron rule. Return the id of the schedule.

    A schedule with the same operation, rule, input and host is replaced. The schedule is committed at once, even if
    `engine` has an open transaction.

    * `rule`: five fields, minute first, or six fields, second first: `0 8 * * mon-fri`, `0 15 8,12 * * *`
    * `domain`: the domain of the operation; None finds it in any domain
    * `inputdata`, `rawinputdata`, `metadata`, `priority`, `capabilities`: as in `schedule`, for each task
    * `host`: the only host that may run the tasks
    * `_anyrule`: allow a rule that fires every second
    * `zone`: the time zone of the rule, such as `Europe/Vienna`; by default that of the replaced schedule, else UTC
    * `missed`: which tasks are created for instants at which no monitor was running: `none`, `last` or `all`
    * `overlap`: whether a task is created while the previous one has not ended: `allow` or `skip`

    Raise ReworkError if the operation is not registered, or the rule or zone is wrong. Raise ValueError if the rule is
    not a text. For inputs, raise the errors of `schedule`.
    """
    if not isinstance(rule, str):
        raise ValueError(f"`rule` must be a text such as '0 8 * * mon-fri', not {rule!r}")
    with session(engine) as db:
        target = find_operation(db, opname, domain)
    text, data = encode_input(target, inputdata, rawinputdata)
    options = {
        'rule': rule,
        'domain': target.domain,
        'zone': zone,
        'host': host,
        'metadata': metadata_json(metadata),
        'priority': priority,
        'missed': missed,
        'overlap': overlap,
        # `-` is stdin: other users of the machine can read the arguments of a process, but not its input.
        'input': None if text is None else '-',
        'raw': None if data is None else '-',
    }
    args = [f'--{name}={value}' for name, value in options.items() if value is not None]
    args += [f'--capability={name}' for name in capabilities]
    args += ['--every-second'] * _anyrule
    stdin = text.encode() if text is not None else data or b''
    return int(binary.run(require_dsn(engine), ['prepare', '--quiet', *args, opname], stdin))


def unprepare(engine: object, sid: int) -> int:
    """Remove the schedule with the id `sid`. Return how many schedules were removed: 1, or 0 if it did not exist.

    The tasks that it created stay. The removal is committed at once, even if `engine` has an open transaction.

    Raise ReworkError if the database refuses it.
    """
    # The exit code is 1 if the schedule did not exist. The output says `removed 0` then.
    printed = binary.run(require_dsn(engine), ['unprepare', '--yes', str(int(sid))], accepted=(0, 1))
    removed = re.search(r'removed (\d+)', printed)
    return int(removed[1]) if removed else 0
