"""Whom to let in, whom to connect to, and by which certificates."""
