"""Processes beside a host that know it only through `agenthost.client`: what carries messages between it and the world.

They hold no task and decide nothing. What they must not lose stands in small databases of their own.
"""
