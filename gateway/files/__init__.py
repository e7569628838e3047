"""``routing.yaml`` and what lies beside it: read again, written whole, locked."""
