"""The data plane as one process or several, and what runs beside it."""
