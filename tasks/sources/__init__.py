"""Connectors: how each source is asked, and what its words mean."""
