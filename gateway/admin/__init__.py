"""The admin port: who answers on it, and what."""
