"""The delivery: REST, dashboard and command line, three doors to the use cases in :mod:`tasks`."""
