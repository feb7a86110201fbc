"""What the machine has, and who has how much of it: facts, cgroup limits, GPUs, and the ledger with its queue.

The host makes one `Ledger`; whatever starts a sandbox or a local model holds its part of the machine through the
port `core.ports.Machine`. Nothing here starts, measures or ends what it counts.
"""
