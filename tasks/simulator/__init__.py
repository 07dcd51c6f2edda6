"""A seeded market in each vendor's dialect, with scripted faults: for demo, tests, benchmarks.

It answers over HTTP as the vendors do, so the connectors cannot tell; it shares no code with them.
All names but those of a few dozen well-known coins are invented by a seeded generator.
"""
