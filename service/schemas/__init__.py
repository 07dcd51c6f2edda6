"""The wire format: what comes in is checked here, what goes out is documented here."""
