"""Watches, judges, and edits ``routing.yaml``; the gateway serves without it."""
