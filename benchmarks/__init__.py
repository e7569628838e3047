"""What a request costs, side by side with the programs people would otherwise use.

``make bench``, or ``python -m benchmarks --help``. Rules that shape this package:

1. The program under test has core 0 to itself; load generator and stand-in worker share core 1.
2. CPU microseconds per request of the whole process group is the primary figure: it does not depend
   on who else runs. Requests/s and latencies do, so they are only quoted from a quiet machine.
3. All targets of a case run at once and take turns, so that all see the same minutes; ratios are
   taken within a round, and medians over the rounds are quoted.
4. A target that does not give the worker's own answer is not measured.
"""
