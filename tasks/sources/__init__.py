"""Connectors: one source each, fetch apart from meaning."""
