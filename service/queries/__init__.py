"""The read side: SELECTs only, from a connection and filters to rows; PostgreSQL writes the JSON."""
