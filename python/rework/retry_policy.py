"""Check retry policies: how often, when, and after which kinds of errors a failed task is tried again.

A policy is a name (`'never'`, `'once'` or `'always'`), or a dict: `{'attempts': 5, 'first': '10s'}`. docs/tasks.md
describes its keys. The database checks policies by the same rules.
"""

from __future__ import annotations

import datetime
from typing import Any, Callable, Optional, Union

from rework import quantity

#: A policy as it is written in a program.
RetryPolicy = Optional[Union[str, 'dict[str, Any]']]

_NAMED: dict[str, dict[str, Any]] = {
    'never': {'attempts': 1},
    'once': {'attempts': 2},
    'always': {'attempts': 2, 'endless': True},
}

_MAX_ATTEMPTS = 999_999_999
_MAX_FACTOR = 1000
_MAX_ITEMS = 100
_MAX_KIND_BYTES = 256
_MAX_PAUSE = datetime.timedelta(days=365)

_UNITS_IN_MS = (('d', 86_400_000), ('h', 3_600_000), ('m', 60_000), ('s', 1000), ('ms', 1))


def checked(name: str, value: object) -> dict[str, Any]:
    """Return a policy as the JSON object that is stored. `name` is the name of the option, for error messages.

    Raise TypeError if the value is neither a name nor a dict, or if a value in the dict has the wrong type. Raise
    ValueError for an unknown key, a value out of range, or keys that cannot be given together.
    """
    if isinstance(value, str) and value in _NAMED:
        return dict(_NAMED[value])
    if not isinstance(value, dict):
        raise TypeError(f"`{name}` must be a dict, or 'never', 'once' or 'always', not {value!r:.100}")
    policy: dict[str, Any] = {}
    for key, given in value.items():
        check = _KEYS.get(key)
        if check is None:
            raise ValueError(f'`{name}` has no key {key!r:.60}: its keys are {", ".join(map(str, _KEYS))}')
        if given is not None:
            policy[key] = check(f'{key} of {name}', given)
    _refuse_contradictions(name, policy)
    return policy


def attempts(declared: int | None, policy: dict[str, Any] | None) -> int:
    """Return the number of attempts of an operation that declares it by itself, or in its policy, or in both.

    Raise ValueError if the two numbers differ.
    """
    within: int | None = None if policy is None else policy.get('attempts')
    if declared is not None and within is not None and declared != within:
        raise ValueError(f'`attempts` is {declared}, and `retry` has {within}: leave one of them out')
    return declared or within or 1


def _refuse_contradictions(name: str, policy: dict[str, Any]) -> None:
    if 'on' in policy and 'not_on' in policy:
        raise ValueError(f'`{name}` has both `on` and `not_on`')
    for other in ('backoff', 'first', 'factor', 'most'):
        if 'list' in policy and other in policy:
            raise ValueError(f'`{name}` has both `list` and `{other}`')
    for unused in ('factor', 'most'):
        if policy.get('backoff') == 'fixed' and unused in policy:
            raise ValueError(f'`{name}` has `{unused}`, which a fixed pause does not use')


def _attempts(name: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MAX_ATTEMPTS:
        return value
    raise TypeError(f'`{name}` must be a number from 1 to {_MAX_ATTEMPTS}, not {value!r:.60}')


def _flag(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise TypeError(f'`{name}` must be True or False, not {value!r:.60}')


def _backoff(name: str, value: object) -> str:
    if isinstance(value, str) and value in ('exponential', 'fixed'):
        return value
    raise ValueError(f"`{name}` must be 'exponential' or 'fixed', not {value!r:.60}")


def _pause(name: str, value: object) -> str:
    """Return a pause as a text that the database reads, such as `1m30s`."""
    pause = quantity.duration(name, value, datetime.timedelta(0))
    if pause > _MAX_PAUSE:
        raise ValueError(f'`{name}`: {value!r} is longer than 365 days')
    remaining = quantity.milliseconds(pause)
    text = ''
    for unit, length in _UNITS_IN_MS:
        count, remaining = divmod(remaining, length)
        text += f'{count}{unit}' if count else ''
    return text or '0s'


def _number(name: str, value: object, least: int, most: int) -> int | float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise ValueError(f'`{name}` must be a number from {least} to {most}, not {value!r:.60}')


def _factor(name: str, value: object) -> int | float:
    return _number(name, value, 1, _MAX_FACTOR)


def _jitter(name: str, value: object) -> int | float:
    return _number(name, value, 0, 1)


def _items(name: str, value: object) -> list[object]:
    if isinstance(value, (list, tuple)) and 1 <= len(value) <= _MAX_ITEMS:
        return list(value)
    raise TypeError(f'`{name}` must be a list of 1 to {_MAX_ITEMS} texts, not {value!r:.60}')


def _pauses(name: str, value: object) -> list[str]:
    return [_pause(name, item) for item in _items(name, value)]


def _kinds(name: str, value: object) -> list[str]:
    kinds: list[str] = []
    for item in _items(name, value):
        if not isinstance(item, str):
            raise TypeError(f'`{name}` must be a list of names, not of {item!r:.60}')
        if not item or len(item.encode()) > _MAX_KIND_BYTES or '\0' in item:
            raise ValueError(f'`{name}`: a name has 1 to {_MAX_KIND_BYTES} bytes')
        kinds.append(item)
    return kinds


#: The keys of a policy, each with the function that checks and converts its value.
_KEYS: dict[object, Callable[[str, object], Any]] = {
    'attempts': _attempts,
    'endless': _flag,
    'backoff': _backoff,
    'first': _pause,
    'factor': _factor,
    'most': _pause,
    'list': _pauses,
    'jitter': _jitter,
    'on': _kinds,
    'not_on': _kinds,
}
