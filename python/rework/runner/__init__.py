"""The runner: the process that imports a module and runs its operations. A worker starts it and sends it runs.

`main.py` is its program. It speaks the protocol of docs/runner-protocol.md, and needs the standard library alone. One
process runs many tasks, one after the other or at the same time.
"""
