"""From evidence to what is done about a candidate; written down, and made again."""
