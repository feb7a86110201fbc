"""What people write: YAML manifests, one kind per document, as pydantic models.

`common`, `agent` and `workflow` say what a manifest may hold; `load` reads YAML and reports
mistakes with file, line and key; `graph` says whether a workflow can run. Nothing here does I/O:
texts come in, models and problems go out.
"""
