"""The engine: from a source's answer to committed rows. It never imports :mod:`service`."""
