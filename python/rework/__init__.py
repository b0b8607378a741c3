"""rework: long-running tasks on Postgres and nothing else.

`from rework import api` declares operations and schedules tasks. `rework.io` declares the types of
inputs and outputs. `rework.testing` helps to test operations.
"""

from rework.retry import GiveUp, PutOff, RetryIn

__version__ = '0.1.0'

__all__ = ['GiveUp', 'PutOff', 'RetryIn', '__version__']
