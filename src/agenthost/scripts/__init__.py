"""The adapter behind the port `core.ports.Scripts`: Monty, a sandboxed subset of Python in worker processes."""
