"""Pure rules and values. No module here does I/O or reads a clock."""
