"""What happened to a file: how it is written down, and read again."""
