"""From where a rollout stands and what the verdict says to what is done about it. Pure: no clock,
no file, no socket.
"""
