"""The tools that come with AgentHost, behind the port `core.ports.Tool`: the workspace's files and commands.

A tool does one call. It never decides whether it may be called: grants and approvals come before it.
"""
