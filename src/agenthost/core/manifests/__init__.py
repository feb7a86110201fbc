"""What people write, as pydantic models: `common`, `agent` and `workflow` say what a manifest may hold.

Reading them from YAML and saying what is wrong with them is the package `agenthost.manifests`.
"""
