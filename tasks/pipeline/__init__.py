"""Use cases: each opens its transaction, and calls the world outside of it."""
