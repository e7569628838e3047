"""The verbs of ``canary``, a module per kind of work."""
