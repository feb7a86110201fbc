"""A host: joins the parts from settings (`adapters.py` alone names adapters) and offers the use-cases."""
