"""What is counted of requests, in memory that processes share, and the report of it."""
