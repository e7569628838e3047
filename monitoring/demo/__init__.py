"""The story ``canary demo`` tells: real models, a candidate that degrades, an automatic
rollback.
"""
