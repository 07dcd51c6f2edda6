"""SQL, one module per group of tables. Functions take a session first and never commit."""
