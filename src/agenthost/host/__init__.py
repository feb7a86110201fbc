"""A host: joins the parts from settings (`host.py` alone names adapters) and offers the use-cases."""
