"""The verdict: pure functions of integer counts. No clock, no socket, no file.

``betting`` is the one formula; ``margin`` extends it to tolerated differences; ``suspicions`` says
what is bet on; ``mixture`` adds the bets up over time; the rest says it in words.
"""
