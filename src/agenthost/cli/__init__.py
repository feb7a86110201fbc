"""The `agenthost` command: one small file a verb group, loaded when named.

A verb translates its words, calls the host (or its client), and prints. It decides nothing.
"""
