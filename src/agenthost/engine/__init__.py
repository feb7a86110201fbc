"""The hands: owns tasks, restores them, journals what programs ask, performs it, journals the answers.

Everything concurrent of a host runs under the supervisor here. It knows ports only, never an
adapter, and never what an agent or a workflow is.
"""
