"""The command line: ``kasparro``, or ``python -m service.cli``.

Each command's module is imported when it is called, so that ``--help`` costs next to nothing.
"""
