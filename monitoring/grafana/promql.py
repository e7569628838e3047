"""What the dashboards ask, as PromQL. ``$route`` and ``$version`` are variables of the dashboards.

How the gateway counts, and so why a version's share and errors need its fallbacks, is said in
``monitoring/prometheus/rules.yml``. All answers are without ``instance`` and ``job``: two gateways
are one number, and the names ``canary_*`` are nobody else's.
"""

from __future__ import annotations

from typing import Final

RATE: Final = "$__rate_interval"  # follows the zoom, and holds four scrapes at least
RANGE: Final = "$__range"  # the time shown, for what is one number
ROUTE: Final = 'route="$route"'
CHOSEN: Final = 'route="$route", version=~"$version"'
ROUTES: Final = 'route=~"$route"'  # where any number of routes can be chosen
VERSION: Final = "route, version, role"
DRAWN: Final = 'assignment=~"weighted|sticky"'


def rate(counter: str, matchers: str = CHOSEN, window: str = RATE) -> str:
    """How fast it grows, per second."""
    return f"rate({_selected(counter, matchers)}[{window}])"


def increase(counter: str, matchers: str = CHOSEN, window: str = RATE) -> str:
    """By how much it grew."""
    return f"increase({_selected(counter, matchers)}[{window}])"


def total(labels: str, inner: str) -> str:
    """The sum, by labels."""
    return f"sum by ({labels}) ({inner})"


def largest(labels: str, gauge: str, matchers: str = CHOSEN) -> str:
    """Of all processes that tell a gauge the largest, by labels."""
    return f"max by ({labels}) ({_selected(gauge, matchers)})"


def quantile(share: float, histogram: str, labels: str = VERSION, matchers: str = CHOSEN) -> str:
    """So large a share of what was observed is below this, to within a bucket."""
    inner = total(f"{labels}, le", rate(f"{histogram}_bucket", matchers))
    return f"histogram_quantile(\n  {share},\n  {inner}\n)"


def observed_share(window: str = RATE) -> str:
    """Of the draws of the route, the share that fell to each version; fallbacks are the drawn
    version's, and requests that name a version no draws.
    """
    drawn = rate("canary_requests_total", f"{CHOSEN}, {DRAWN}", window)
    all_drawn = rate("canary_requests_total", f"{ROUTE}, {DRAWN}", window)
    all_given = rate("canary_fallbacks_total", ROUTE, window)
    return (
        f"sum by ({VERSION}) (\n  {drawn}\n  or\n{_given_way(window)}\n)\n"
        "/ on (route) group_left ()\n"
        f"(sum by (route) (\n  {all_drawn}\n  or\n  {all_given}\n) > 0)"
    )


def error_ratio(window: str = RATE) -> str:
    """Of what each version was asked, the share it gave no good answer to."""
    failed = total(VERSION, rate("canary_request_errors_total", window=window))
    answered = rate("canary_requests_total", window=window)
    return f"{failed}\n/\n(sum by ({VERSION}) (\n  {answered}\n  or\n{_given_way(window)}\n) > 0)"


def class_share(role: str) -> str:
    """Of the predictions of a role, the share of each class."""
    matchers = f'{CHOSEN}, role="{role}"' if role == "candidate" else f'{ROUTE}, role="{role}"'
    labels = rate("canary_predictions_total", matchers)
    return f"{total('label', labels)}\n/ on () group_left ()\n(sum({labels}) > 0)"


def mean(histogram: str) -> str:
    """What was observed, on average."""
    observed = total(VERSION, rate(f"{histogram}_sum"))
    return f"{observed}\n/\n({total(VERSION, rate(f'{histogram}_count'))} > 0)"


def numbered(gauge: str, label: str, words: tuple[str, ...]) -> str:
    """A gauge that is 1 for one word of a closed set, as the number of the word, from 1."""
    terms = [
        f'({_selected(gauge, f"""{CHOSEN}, {label}="{word}" """.rstrip())} == 1) * {number}'
        for number, word in enumerate(words, 1)
    ]
    return "max by (version) (\n  " + "\n  or\n  ".join(terms) + "\n)"


def _selected(metric: str, matchers: str) -> str:
    return f"{metric}{{{matchers}}}" if matchers else metric


def _given_way(window: str) -> str:
    given = rate("canary_fallbacks_total", 'route="$route", assigned=~"$version"', window)
    return (
        "  label_replace(\n"
        f'    label_replace({given}, "role", "candidate", "", ""),\n'
        '    "version", "$1", "assigned", "(.+)"\n'
        "  )"
    )
