"""The page for people: what is in the table, how the sources stand, what ran."""
