"""What every other room may use: errors, settings, clock, logging."""
