"""The schema's history; read the numbered files in order."""
