"""The loop that watches and acts, and whom it tells."""
