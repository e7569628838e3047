"""Whose a request is: routes, their versions, and the split between them."""
