"""What both systems run: nothing."""

from rework import api


@api.task
def noop(task):
    pass
