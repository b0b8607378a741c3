"""Retry policies of operations and tasks, and runs that are put off."""

import datetime
import re

import pytest

import rework as package
from rework import api, operation, retry_policy
from test_scenarios import run, until

MODULE = """
import os

from rework import PutOff, api


class Busy(Exception):
    pass


@api.task(retry={'attempts': 3, 'backoff': 'fixed', 'first': '10ms', 'not_on': ['Busy']})
def fails(task):
    if task.input == 'busy':
        raise Busy('in use')
    if task.attempt < 3:
        raise ValueError('not yet')
    task.save_output(task.attempt)


@api.task(retry='never')
def needs_a_file(task):
    if not os.path.exists(task.input):
        raise PutOff(0.01, 'there is no file')
    task.save_output(task.attempt)
"""


@pytest.fixture
def installation(rework, tmp_path):
    """Return a database with the operations of MODULE."""
    module = tmp_path / 'retries.py'
    module.write_text(MODULE)
    rework.register(module)
    return rework


def test_an_operation_is_tried_again_as_its_policy_says(installation, sql):
    assert sql("select attempts, retry from rework.operation where name = 'fails'") == [
        (3, {'attempts': 3, 'backoff': 'fixed', 'first': '10ms', 'not_on': ['Busy']})
    ]
    assert run(installation, 'fails', 'go').output == 3
    busy = run(installation, 'fails', 'busy')
    assert (busy.state, busy.attempt) == ('failed', 1)


def test_a_run_that_is_put_off_uses_no_attempt(installation, sql, tmp_path):
    path = tmp_path / 'file'
    task = api.schedule(installation.dsn, 'needs_a_file', str(path))
    with installation.workers():
        count = "select count(*) from rework.run where outcome = 'put_off' and reason like '%there is no file'"
        until('it was put off twice', lambda: sql(count)[0][0] >= 2)
        path.touch()
        task.join(timeout=30)
    assert (task.state, task.output, task.attempt) == ('done', 1, 1)


def test_a_task_has_a_policy_of_its_own(jobs, sql):
    policy = {'attempts': 5, 'list': [datetime.timedelta(minutes=90), '1s'], 'jitter': None}
    api.schedule(jobs, 'echo', 1, retry=policy)
    api.schedule(jobs, 'echo', 1, retry='always')
    api.schedule(jobs, 'echo', 1)
    assert sql('select retry from rework.task order by id') == [
        ({'attempts': 5, 'list': ['1h30m', '1s']},),
        ({'attempts': 2, 'endless': True},),
        (None,),
    ]


@pytest.mark.parametrize(
    ('policy', 'message'),
    [
        (3, "`retry` must be a dict, or 'never', 'once' or 'always', not 3"),
        ('twice', "not 'twice'"),
        ({'frist': '1s'}, "`retry` has no key 'frist': its keys are attempts, endless"),
        ({'attempts': 0}, '`attempts of retry` must be a number from 1 to 999999999, not 0'),
        ({'attempts': True}, '`attempts of retry` must be a number'),
        ({'endless': 1}, '`endless of retry` must be True or False'),
        ({'backoff': 'linear'}, "`backoff of retry` must be 'exponential' or 'fixed'"),
        ({'first': '1 parsec'}, "`first of retry`: '1 parsec' is not a duration"),
        ({'first': -datetime.timedelta(1)}, 'is too short'),
        ({'most': '366d'}, "`most of retry`: '366d' is longer than 365 days"),
        ({'factor': 0.5}, '`factor of retry` must be a number from 1 to 1000, not 0.5'),
        ({'factor': float('nan')}, '`factor of retry` must be a number'),
        ({'jitter': 2}, '`jitter of retry` must be a number from 0 to 1'),
        ({'list': []}, '`list of retry` must be a list of 1 to 100 texts'),
        ({'on': 'io'}, '`on of retry` must be a list of 1 to 100 texts'),
        ({'on': [OSError]}, '`on of retry` must be a list of names'),
        ({'on': ['']}, '`on of retry`: a name has 1 to 256 bytes'),
        ({'on': ['a'], 'not_on': ['b']}, '`retry` has both `on` and `not_on`'),
        ({'list': ['1s'], 'most': '1m'}, '`retry` has both `list` and `most`'),
        ({'backoff': 'fixed', 'factor': 2}, '`retry` has `factor`, which a fixed pause does not use'),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(policy, message):
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        api.task(retry=policy)
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        api.schedule('postgres://localhost/nowhere', 'echo', retry=policy)


def test_attempts_are_declared_once():
    def undeclared(task):
        pass

    with pytest.raises(ValueError, match='`attempts` is 3, and `retry` has 5'):
        api.task(attempts=3, retry={'attempts': 5})(undeclared)
    assert retry_policy.attempts(None, {'attempts': 5}) == 5
    assert retry_policy.attempts(3, {'first': '1s'}) == 3
    assert ('default', 'undeclared') not in operation.registry


def test_a_delay_is_not_negative():
    assert package.PutOff(datetime.timedelta(seconds=2)).delay_ms == 2000
    assert package.PutOff(1e20).delay_ms == 365 * 86_400_000
    for delay in (-1, float('inf'), float('nan')):
        with pytest.raises(ValueError, match='must be finite and not negative'):
            package.PutOff(delay)
