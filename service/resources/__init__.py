"""REST: one module for each resource, thin views over use cases and queries."""
