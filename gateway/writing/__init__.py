"""What is written down of requests: lines, and the files they go to."""
