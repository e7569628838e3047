"""What is said over HTTP, in bytes: one module for each language that clients speak. Pure."""
