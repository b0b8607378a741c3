"""The runner: the process in which a module's operations run, at the other end of a worker's socket.

It speaks docs/runner-protocol.md, needs the standard library alone, and lives for many runs.
"""
