"""From data to a file that a worker loads."""
