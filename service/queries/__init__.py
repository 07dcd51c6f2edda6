"""The read side: SELECTs only, from connection and filters to rows; PostgreSQL writes the JSON."""
