"""What one can see of the API from outside: request ids, timings, the access log, metrics."""
