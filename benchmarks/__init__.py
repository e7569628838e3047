"""What a request costs, side by side with the programs people would otherwise use.

``make bench``, or ``make bench BENCH_ARGS='--case small --rounds 3'``; ``python -m benchmarks
--help`` has all words. ``cases.py`` lists what is measured, one module per peer says how it is set
up, ``README.md`` says what to mind. Rules that shape this package:

1. The program under test has core 0 to itself; load generator and stand-in worker share core 1.
   Only where processes are compared, all share both cores.
2. CPU microseconds per request of the whole process group is the primary figure: it does not depend
   on who else runs. Requests/s and latencies do, so they are only quoted from a quiet machine.
3. All targets of a case run at once and take turns, so that all see the same minutes; ratios are
   taken within a round, and medians over the rounds are quoted.
4. A target is not measured unless it gives the worker's own answers, counts each label it claims to
   count, and sends each version its share (``checks.py``).
5. A peer is set up as its own makers would for speed: connections are kept on both sides, no access
   log, nothing that the gateway does not do as well. Where a peer does less, the heading says so.
6. Memory is PSS: pages shared with another target of the same case (two nginx, two Envoys, all on
   Python) are divided among them.

Three kinds of heads (``traffic.py``): those of the small case never change, which is how load
generators behave and the best case for whoever remembers what it has parsed; ``varied`` is a client
library with bodies and answers of several lengths; in ``fresh`` no two heads are alike in either
direction, so that nothing can be remembered.
"""
