"""Which requests are traced, and the way of their spans to a collector."""
