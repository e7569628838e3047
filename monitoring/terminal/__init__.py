"""``canary status -w``: what happens now, on a terminal, or line by line."""
