"""What went wrong in other systems, and whether it could go wrong here: one test for each.

Issues are named as on GitHub (``argo-rollouts`` is argoproj/argo-rollouts, and so on). What another
test holds already stands in ``HELD_ELSEWHERE``. What belongs to a feature that does not exist here
yet has no test yet:

- mirrored requests: memory, wrong share, one after another (traefik#6125, contour#1889,
  istio#11475);
- steps of a rollout: a failed analysis that lost the race against the last step
  (argo-rollouts#1411), an advance after traffic had stopped (flagger#1011), a pause that ran on
  while the controller was down (argo-rollouts, status of a pause);
- webhooks: a notification that fails unseen (argo-rollouts#1782), a gate that forgets on restart
  (flagger, its load tester).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import parse
from gateway.edit import SetWeight, apply
from gateway.model import Analysis, generation_of
from gateway.routing.split import BUCKETS
from gateway.routing.table import compile_table
from monitoring.analysis.case import Case
from monitoring.analysis.question import question_of
from monitoring.analysis.verdict import Kind, judge
from monitoring.history import changes
from monitoring.readings.evidence import Counts, Window
from tests.builders import make_config, make_cookie, make_route
from tests.controllers import make_controller
from tests.sockets.peers import Gateway, Worker, answering

ROOT = Path(__file__).parent.parent
NOBODY = {b"host": b"models.example"}

TEXT = """\
routes:
  iris:
    stable: v1
    analysis: {max_false_rollback: 1%}
    versions:
      v1: {url: "http://127.0.0.1:8101"}
      v2: {url: "http://127.0.0.1:8102", weight: 10}
"""

HELD_ELSEWHERE = {
    # Weight 0, or an abort, that left traffic on the candidate.
    "argo-rollouts#4841, argo-rollouts#4973, seldon-core#4067, seldon-core#5181, flagger#930": (
        "tests/system/test_reload.py::test_after_an_acknowledged_zero_not_one_request_reaches_the_candidate",
        "tests/system/test_group.py::test_after_an_acknowledged_zero_no_process_asks_the_candidate",
        "tests/sockets/test_swaps.py::test_requests_that_wait_for_a_connection_obey_the_new_file",
    ),
    # A new version in the middle: traffic stayed on what was half removed.
    "argo-rollouts#4390, argo-rollouts#1690": (
        "tests/sockets/test_swaps.py::test_a_request_that_waits_for_a_removed_version_obeys_the_new_file",
        "tests/sockets/test_swaps.py::test_idle_connections_of_a_removed_version_are_closed",
    ),
    # Automation and people overwrite each other.
    "argo-rollouts#3854, argo-rollouts#2463, flagger#1504": (
        "tests/monitoring/test_controller.py::test_a_file_that_changes_between_verdict_and_edit_is_left_to_who_changed_it",
        "tests/monitoring/test_controller.py::test_who_starts_a_candidate_again_is_not_overruled_by_old_evidence",
        "tests/sockets/test_concurrent_edits.py::test_no_edit_and_no_save_is_lost",
    ),
    # No data, NaN or a dead source taken for a verdict.
    "argo-rollouts#2866, flagger#1353, flagger#1689, Argo on NaN and on no measurement": (
        "tests/monitoring/test_controller.py::test_numbers_that_are_none_are_told_of_and_change_nothing",
        "tests/monitoring/test_controller.py::test_no_evidence_is_no_reason_to_act",
        "tests/monitoring/test_controller.py::test_no_traffic_is_inconclusive_however_long",
    ),
    # Users who are moved because another weight changed, or on another replica.
    "envoy#8167, istio#9764, nginx's split_clients, Iter8": (
        "tests/gateway/test_split.py::test_one_or_two_candidates_take_only_from_stable_and_give_only_back",
        "tests/sockets/test_shares.py::test_every_gateway_gives_a_user_the_same_version",
    ),
    # A save that was not noticed: a link that was swapped, a write in place, an unchanged time.
    "envoy#3928, configmap-reload#190, linkerd2#1061": (
        "tests/system/test_saves.py::test_saves_of_every_kind_under_load_are_all_in_force_and_fail_no_request",
    ),
    # A bad file that changed traffic: HAProxy takes the weight `abc` for 0; Flagger a bad interval
    # for 60 s; PyYAML's result of an alias bomb is walked (yaml/pyyaml#235).
    "HAProxy, Flagger, pyyaml#235": (
        "tests/system/test_saves.py::test_broken_files_under_load_change_nothing_and_are_told_of_once",
        "tests/gateway/config/test_config.py::test_a_key_of_a_route",
        "tests/gateway/config/test_document.py::test_an_alias_bomb_does_not_go_off",
    ),
    # SIGTERM, or a worker swap, that loses requests on kept connections.
    "nginx, HAProxy, Envoy on SIGTERM and on reload": (
        "tests/system/test_last_requests.py::test_sigterm_under_load_loses_no_request",
        "tests/system/test_last_requests.py::test_a_request_on_its_way_to_an_idle_connection_is_answered",
    ),
    # Surplus bytes of one answer read as the next one; slots that leak when requests are cancelled.
    "httpcore on surplus bytes, httpcore#1093": (
        "tests/sockets/test_workers.py::test_surplus_bytes_of_a_worker_reach_nobody",
        "tests/sockets/test_workers.py::test_room_is_free_again_after_every_kind_of_end",
        "tests/sockets/test_mixed_faults.py::test_nobody_gets_somebody_elses_answer",
    ),
    # An interim answer nobody asked for taken for the answer; a 101 relayed.
    "nginx#1427, CVE-2026-73548, CVE-2026-88008, CVE-2026-58055": (
        "tests/sockets/test_workers.py::test_interim_answers_are_passed_over",
        "tests/gateway/test_upstream.py::test_an_interim_answer_with_a_body_is_no_answer",
        "tests/sockets/test_clients.py::test_an_upgrade_is_ignored_and_the_connection_goes_on",
    ),
    # Heads without a limit, chunks without their end, hosts that are none.
    "uvicorn#157, CVE-2025-43859 (h11), CVE-2026-48710 (Starlette)": (
        "tests/sockets/test_clients.py::test_the_limit_of_a_head_does_not_depend_on_how_it_arrives",
        "tests/sockets/test_clients.py::test_bad_chunks_are_refused_and_forwarded_to_nobody",
        "tests/gateway/test_request.py::test_a_malformed_host_is_a_400",
    ),
    # A label out of traffic that ends /metrics, or fills it.
    "prometheus-client on a lone surrogate, CVE-2022-21698": (
        "tests/gateway/test_predictions.py::test_lone_surrogates_cannot_get_in",
        "tests/gateway/test_counts.py::test_a_hostile_label_makes_no_line_of_its_own",
        "tests/gateway/test_counts.py::test_whatever_models_answer_the_series_stay_bounded_and_printable",
    ),
    # One sick version, one shared pool.
    "httpx with one pool for all": (
        "tests/sockets/test_mixed_faults.py::test_a_sick_version_does_not_hold_up_the_healthy_one",
    ),
}


@pytest.mark.parametrize("issue", HELD_ELSEWHERE)
def test_what_is_said_to_be_held_elsewhere_is(issue: str) -> None:
    for place in HELD_ELSEWHERE[issue]:
        path, _, name = place.partition("::")
        tree = ast.parse((ROOT / path).read_text())

        assert name in {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}, place


# --- weights


def versions_of(text: str) -> set[str]:
    """Who answers, over all buckets."""
    route = compile_table(parse(text.encode())).routes[0]
    return {
        route.assign(NOBODY, None, lambda at=at: (at + 0.5) / BUCKETS).version
        for at in range(BUCKETS)
    }


def test_a_weight_of_zero_is_not_taken_for_none_given() -> None:
    """emissary-ingress/emissary#1605 and kserve#2130: an explicit 0 was a default, and the default
    was a share.
    """
    for text in (TEXT.replace("weight: 10", "weight: 0"), TEXT.replace(", weight: 10", "")):
        assert versions_of(text) == {"v1"}


@pytest.mark.parametrize(("percent", "buckets"), [("0.5", 50), ("0.05", 5), ("0.01", 1)])
def test_a_share_below_one_percent_is_what_it_says(percent: str, buckets: int) -> None:
    """ingress-nginx#9745: 0.5 % configured, 5 % delivered."""
    route = compile_table(parse(TEXT.replace("10}", f"{percent}}}").encode())).routes[0]
    answered = [
        route.assign(NOBODY, None, lambda at=at: at / BUCKETS).version for at in range(BUCKETS)
    ]

    assert answered.count("v2") == buckets


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=3))
def test_no_file_that_is_taken_leaves_a_request_without_a_version(weights: list[int]) -> None:
    """nginx and HAProxy take "both weights 0", and answer 502 and 503 until the next edit."""
    given_ = {f"c{i}": ("http://127.0.0.1:2", weight / 100) for i, weight in enumerate(weights)}
    config = make_config({"v1": "http://127.0.0.1:1", **given_})
    route = compile_table(config).routes[0]
    for at in range(0, BUCKETS, 97):
        assert route.assign(NOBODY, None, lambda at=at: at / BUCKETS).version


def test_a_candidate_that_has_everything_can_still_be_taken_out() -> None:
    """argo-rollouts#4461: an abort while promoting fully could be ignored."""
    full = TEXT.replace("weight: 10", "weight: 100").encode()
    after = apply(full, SetWeight("iris", "v2", 0))

    assert after == full.replace(b"weight: 100", b"weight: 0")


def test_users_with_a_cookie_do_not_drift_to_the_candidate() -> None:
    """flagger#1532, flagger#1647: only the candidate's users were kept, stable's were drawn again
    with each request, so that in the end all were the candidate's.
    """
    with ExitStack() as stack:
        v1, v2 = (stack.enter_context(closing(Worker(answering()))) for _ in range(2))
        gateway = stack.enter_context(
            closing(Gateway(make_config({"v1": v1.url, "v2": (v2.url, 30)}, sticky=make_cookie())))
        )
        homes = [list(visits(gateway, 20)) for _ in range(40)]

        assert all(len(set(home)) == 1 for home in homes)
        assert {home[0] for home in homes} == {"v1", "v2"}


def visits(gateway: Gateway, number: int) -> Iterator[str]:
    """Who answers a browser each time: it sends the cookie that it was given."""
    with gateway.client() as client:
        first = client.ask()
        yield first["x-model-version"]
        cookie = first["set-cookie"].partition(";")[0]
        for _ in range(number):
            yield client.ask(fields=[("Cookie", cookie)])["x-model-version"]


# --- verdicts


def test_no_error_of_stable_and_many_of_the_candidate_is_a_failure() -> None:
    """spinnaker#6278: a comparison by ratio has nothing to divide by, and passed."""
    question = question_of(make_route(), Analysis())
    window = Window("0/g1@0", 0.1, Counts(100, bad=20), Counts(900))

    assert judge(question, Case.opened().grown(question, [window])).kind is Kind.FAILED


class Source:
    """Evidence that the candidate fails, about whatever file stands there."""

    silent = ()

    def __init__(self, file: Path) -> None:
        self._file = file

    def evidence(self) -> list[Mapping[str, Any]]:
        generation = generation_of(self._file.read_bytes())
        weight = parse(self._file.read_bytes()).route("iris").weight("v2")
        versions = {
            "v1": {"role": "stable", "weight": 10_000 - weight, "assigned": 900, "bad": 0},
            "v2": {"role": "candidate", "weight": weight, "assigned": 100, "bad": 60},
        }
        rows = [{"generation": generation, "routes": {"iris": versions}}]
        return [{"generation": generation, "generations": rows}]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "routing.yaml"
    path.write_text(TEXT)
    return path


def test_a_rollback_does_not_wait_for_a_person_who_is_at_it(file: Path) -> None:
    """flagger#1801: while a rollout was paused by hand, a failing candidate was not taken out."""
    source = Source(file)
    file.write_text(TEXT.replace("weight: 10", "weight: 5") + "# on hold, Alice\n")
    make_controller(file, source).tick()

    assert file.read_text() == TEXT.replace("weight: 10", "weight: 0") + "# on hold, Alice\n"


def test_two_controllers_on_one_file_roll_back_once(file: Path) -> None:
    """argo-rollouts#2117: after a lost lease two of them acted. Here the second finds that it has
    been done, or that the file is another one than it judged.
    """
    first, second = make_controller(file, Source(file)), make_controller(file, Source(file))
    stale = Source(file).evidence()
    first.tick()
    second.tick()
    make_controller(file, type("Stale", (), {"evidence": lambda _: stale, "silent": ()})()).tick()
    entries = changes.read(file, generation_of(file.read_bytes()))

    assert [(entry.by, entry.action) for entry in entries] == [("controller", "rollback")]
    assert parse(file.read_bytes()).route("iris").weight("v2") == 0


def test_a_controller_that_restarts_at_every_tick_decides_the_same(file: Path) -> None:
    """argo-rollouts#587, argo-rollouts#2522: what a restart forgot. Here weights are in the file,
    counts at the gateway, and what was made of them in the history.
    """
    judged = [bool(make_controller(file, Source(file)).tick()) for _ in range(5)]

    assert judged == [True, False, False, False, False]
    assert file.read_text() == TEXT.replace("weight: 10", "weight: 0")
