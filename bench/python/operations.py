"""The operation that both systems run. It does nothing."""

from rework import api


@api.task
def noop(task):
    pass
