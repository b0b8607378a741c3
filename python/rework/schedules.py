"""What tasks are made of before they are: the operation that is meant, its input as it travels; and
schedules, operations with a cron rule.

What a rule means is decided in one place, the program `rework`.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple

from rework import binary, io, values
from rework.database import Session, dsn_of, session
from rework.errors import Ambiguous, BadInput, BadInputType, ReworkError, UnknownOperation


class Target(NamedTuple):
    """The operation that is meant."""

    id: int
    name: str
    domain: str
    #: Its declared inputs; None: it declares none by `rework.io`.
    specs: Optional[io.Specs]


def find(db: Session, opname: str, domain: Optional[str], module: Optional[str] = None) -> Target:
    """The operation of this name; of this domain, and from this module, where they are given.

    Raises UnknownOperation or Ambiguous.
    """
    if module is not None:
        domain = _domain_of_module(db, opname, domain, module)
    row = db.row('operation', name=opname, domain=domain)
    if row is None:
        raise UnknownOperation(f'operation `{opname}` is not registered')
    id_, found, schema = row
    return Target(id_, opname, found, io.specs_of(json.loads(schema)) if schema else None)


def _domain_of_module(db: Session, opname: str, domain: Optional[str], module: str) -> str:
    found = [row[0] for row in db.rows('module_domains', name=opname, domain=domain, module=module)]
    if not found:
        raise UnknownOperation(
            f'operation `{opname}` is not registered from `{module}`',
            'see `rework list-operations`',
        )
    if len(found) > 1:
        several = ', '.join(found)
        raise Ambiguous(
            f'operation `{opname}` is registered from `{module}` in several domains: {several}',
            f'name one: `domain={found[0]!r}`',
        )
    return str(found[0])


def encoded(
    target: Target, inputdata: Any, rawinputdata: Optional[bytes]
) -> Tuple[Optional[str], Optional[bytes]]:
    """The input as JSON text or as bytes; neither where there is none.

    Raises BadInput or BadInputType for what the declared inputs do not take, TypeError for what JSON
    does not.
    """
    if rawinputdata is not None:
        if inputdata is not None:
            raise TypeError('`inputdata` and `rawinputdata`: give one of the two')
        if not isinstance(rawinputdata, (bytes, bytearray, memoryview)):
            raise TypeError(f'`rawinputdata` is bytes, not {rawinputdata!r:.100}')
        return None, bytes(rawinputdata)
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


def noted(metadata: Optional[Dict[str, Any]]) -> Optional[str]:
    """Metadata as JSON text. Raises TypeError for what is no dict, or cannot travel."""
    if not metadata:
        return None
    if not isinstance(metadata, dict):
        raise TypeError(f'`metadata` is a dict, not {metadata!r:.100}')
    return values.dumps(metadata, 'metadata')


def prepare(
    engine: object,
    opname: str,
    rule: Optional[str] = None,
    domain: Optional[str] = 'default',
    inputdata: Any = None,
    host: Optional[str] = None,
    metadata: Optional[Dict[str, Any]] = None,
    rawinputdata: Optional[bytes] = None,
    _anyrule: bool = False,
    *,
    zone: Optional[str] = None,
    priority: Optional[int] = None,
    capabilities: Sequence[str] = (),
    missed: str = 'none',
    overlap: str = 'allow',
) -> int:
    """Gives an operation a cron rule, and gives the id of the schedule.

    It replaces one of the same operation, rule, input and host. `rule` has five fields, minute
    first, or six, second first: `0 8 * * mon-fri`, `0 15 8,12 * * *`; `zone` is where it is that
    time, `Europe/Vienna`: if left out, that of the schedule that it replaces, else UTC. `missed` is what becomes of instants at which no monitor was there
    (`none`, `last`, `all`), `overlap` of those at which the task before has not ended (`allow`,
    `skip`). It is committed at once, whatever transaction is open on `engine`.

    Raises ReworkError where the operation is not known or the rule is none; BadInputType or BadInput,
    which are a TypeError and a ValueError, where the input does not fit; TypeError where JSON cannot
    carry it.
    """
    if not isinstance(rule, str):
        raise ValueError(f"`rule` is a text such as '0 8 * * mon-fri', not {rule!r}")
    with session(engine) as db:
        target = find(db, opname, domain)
    text, data = encoded(target, inputdata, rawinputdata)
    options = {
        'rule': rule,
        'domain': target.domain,
        'zone': zone,
        'host': host,
        'metadata': noted(metadata),
        'priority': priority,
        'missed': missed,
        'overlap': overlap,
        'input': None if text is None else '-',
        'raw': None if data is None else '-',
    }
    words = [f'--{name}={value}' for name, value in options.items() if value is not None]
    words += [f'--capability={name}' for name in capabilities]
    words += ['--every-second'] * _anyrule
    stdin = text.encode() if text is not None else data or b''
    return int(binary.run(place(engine), ['prepare', '--quiet', *words, opname], stdin))


def unprepare(engine: object, sid: int) -> int:
    """Takes a schedule away; the tasks that it made stay. Gives how many it was, 0 or 1.

    It is committed at once, whatever transaction is open on `engine`.
    """
    # That there was none is told by the exit code too.
    said = binary.run(place(engine), ['unprepare', '--yes', str(int(sid))], accepted=(0, 1))
    removed = re.search(r'removed (\d+)', said)
    return int(removed[1]) if removed else 0


def place(engine: object) -> str:
    """The DSN by which the program `rework` finds the database of an engine.

    Raises ReworkError where the driver does not tell.
    """
    dsn = dsn_of(engine)
    if dsn is None:
        raise ReworkError(
            'the driver of this engine does not tell where its database is', 'pass a DSN'
        )
    return dsn
