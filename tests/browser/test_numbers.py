"""The numbers on the page of a route are those that Prometheus reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from playwright.sync_api import Page, expect
from prometheus_client.parser import text_string_to_metric_families

from tests.browser import steps
from tests.browser.site import LABELS, Site
from tests.system.conftest import eventually, get_text

ROUTE: Final = "counted"
REQUESTS: Final = 400
FIELDS: Final = ("weight", "requests", "bad", "in_flight")

Visit = Callable[..., Page]
Counts = Counter[tuple[str, ...]]


def counted(site: Site) -> dict[str, Counts]:
    """What ``/metrics`` says of the route: each metric by version, and by what else tells apart."""
    found: dict[str, Counts] = {}
    for family in text_string_to_metric_families(get_text(f"{site.home}/metrics")):
        for sample in family.samples:
            labels = sample.labels
            if labels.get("route") != ROUTE:
                continue
            version = labels.get("assigned") or labels.get("version", "")
            other = labels.get("assignment") or labels.get("reason") or labels.get("label") or ""
            found.setdefault(sample.name, Counter())[version, other] += sample.value
    return found


def of(counts: Counts, version: str) -> float:
    return sum(number for (name, *_), number in counts.items() if name == version)


def expected(site: Site) -> dict[str, Any]:
    """By version what a page has to say, in its words."""
    told = counted(site)
    drawn = Counter(
        {
            version: sum(
                told["canary_requests_total"][version, how] for how in ("weighted", "sticky")
            )
            + of(told["canary_fallbacks_total"], version)
            for version in ("v1", "v2")
        }
    )
    found = {}
    for version in ("v1", "v2"):
        errors = {
            reason: number
            for (name, reason), number in told["canary_request_errors_total"].items()
            if name == version and number
        }
        labels = {one: told["canary_predictions_total"][version, one] for one in LABELS}
        found[version] = {
            "weight": f"{100 * of(told['canary_route_weight_ratio'], version):g} %",
            "requests": f"{of(told['canary_requests_total'], version):,.0f}",
            "bad": f"{sum(errors.values()):,.0f}",
            "in_flight": f"{of(told['canary_requests_in_flight'], version):,.0f}",
            "reasons": ", ".join(f"{why} {n:,.0f}" for why, n in sorted(errors.items())),
            "observed": f"{100 * drawn[version] / drawn.total():.2f} %",
            "mix": [
                f"{one} {100 * number / sum(labels.values()):.1f} %"
                for one, number in labels.items()
            ],
        }
    return found


def shown(page: Page) -> dict[str, Any]:
    """The same as it stands on the screen."""
    found: dict[str, Any] = {}
    for version in ("v1", "v2"):
        reasons = page.locator(f"#versions p[data-version={version}] [data-field=reasons]")
        share = page.locator(f"#split .legend [data-version={version}] [data-field=observed]")
        mix = page.locator(f"#scores [data-version={version}] [data-field=mix] span")
        found[version] = {
            **{field: steps.cell(page, field, version).inner_text() for field in FIELDS},
            "reasons": ", ".join(reasons.all_inner_texts()),
            "observed": share.inner_text(),
            "mix": mix.all_inner_texts(),
        }
    return found


def test_they_are_the_same_to_the_last_digit(visit: Visit, site: Site) -> None:
    page = visit()
    page.goto(f"/routes/{ROUTE}")
    expect(steps.cell(page, "requests")).to_have_text("0")
    steps.stay(page)
    site.load(ROUTE, REQUESTS, clients=2).result(60)

    wanted = expected(site)
    eventually(lambda: shown(page) == wanted, f"{wanted} is shown")
    assert expected(site) == wanted  # nothing has moved since
    assert wanted["v2"]["bad"] != "0"
    assert "upstream_5xx" in wanted["v2"]["reasons"]
    assert steps.stayed(page)
