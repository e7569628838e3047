"""The request path: reads ``routing.yaml``, splits traffic over model versions, records what they
answer.
"""
