from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import flamegraph
from flamegraph.filters import LONGEST_CYCLE, Filters, apply, last_segment, without_recursion
from flamegraph.fold import fold
from flamegraph.groups import shares
from flamegraph.profile import Frame, Profile, ProfileError
from tests.flamegraph.profiles import profile, shared

GC = "(garbage collection)"


def lines(found: Profile, **wishes: object) -> list[str]:
    return list(fold(apply(found, Filters(**wishes)), time_order=True))  # type: ignore[arg-type]


def test_only_keeps_stacks_with_a_frame_whose_name_or_file_matches() -> None:
    found = profile(("a;b", 1), ("a;c", 2), ("d", 3), frames=[Frame("d", "app/d.rb")])

    assert lines(found, only="^[bc]$") == ["a;b 1", "a;c 2"]
    assert lines(found, only="app/") == ["d 3"]


def test_root_draws_from_the_outermost_match_down() -> None:
    assert lines(profile(("a;b;a;c", 1), ("x", 2)), root="^[ba]$") == ["a;b;a;c 1"]
    assert lines(profile(("a;b;c", 1), ("c", 2)), root="b") == ["b;c 1"]


def test_hide_leaves_frames_out_and_their_callees_in() -> None:
    assert lines(profile(("a;b;c", 1), ("b", 2)), hide="b") == ["a;c 1"]


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(ProfileError, match=r"^--hide: '\(' is not a regular expression: "):
        apply(profile(("a", 1)), Filters(hide="("))


def test_repeated_runs_of_frames_are_drawn_once() -> None:
    assert lines(profile(("m;a;a;a;b", 1), ("m;a;b;a;b;c", 2)), merge_recursion=True) == ["m;a;b 1", "m;a;b;c 2"]


@given(st.lists(st.integers(0, 3), max_size=30))
def test_no_run_is_left_that_repeats(stack: list[int]) -> None:
    kept = without_recursion(tuple(stack))

    for size in range(1, LONGEST_CYCLE + 1):
        for at in range(len(kept) - 2 * size + 1):
            assert kept[at : at + size] != kept[at + size : at + 2 * size]


@pytest.mark.parametrize(
    ("gc", "expected"),
    [
        ("separate", [f"{GC} 1", "a;b 2", f"{GC};(marking) 3", "c 4"]),
        ("attach", [f"{GC} 1", "a;b 2", f"a;b;{GC};(marking) 3", "c 4"]),
        ("drop", ["a;b 2", "c 4"]),
    ],
)
def test_towers_of_gc_stand_where_they_are_wanted(gc: str, expected: list[str]) -> None:
    assert lines(profile((GC, 1), ("a;b", 2), (f"{GC};(marking)", 3), ("c", 4)), gc=gc) == expected


def test_a_method_of_that_name_is_not_gc() -> None:
    found = profile(("a", 2), (GC, 3), frames=[Frame(GC, "app.rb")])

    assert lines(found, gc="drop") == ["a 2", f"{GC} 3"]


def timed(**more: object) -> Profile:
    facts: dict[str, object] = {"mode": "wall", "interval": 500, "starts_us": [0, 500, 400, 90_000, 90_500]}
    return profile(("a", 1), ("b", 1), ("c", 3), ("d", 2), ("e", 1), **(facts | more))  # type: ignore[arg-type]


def test_a_sample_lasts_until_the_next_one_and_the_last_an_interval() -> None:
    assert lines(timed(), weight="time") == ["a 500", "b 0", "c 89600", "d 500", "e 500"]
    assert apply(timed(), Filters(weight="time")).unit == "microseconds"


def test_the_last_sample_lasts_until_recording_stopped() -> None:
    assert lines(timed(stopped_us=91_700), weight="time")[-1] == "e 1200"


def test_time_adds_up_to_the_length_of_a_real_recording() -> None:
    found = flamegraph.read(shared("rails/stackprof_wall_raw.dump"))
    assert found.starts_us is not None

    assert sum(apply(found, Filters(weight="time")).weights) == found.starts_us[-1] + 500


@pytest.mark.parametrize(
    ("found", "weight", "said"),
    [
        (timed(mode="cpu"), "time", "--weight time needs a profile of mode wall: in mode cpu times do not add up"),
        (timed(starts_us=None), "time", "--weight time needs timestamps, which stackprof writes since 0.2.18"),
        (timed(), "objects", "--weight objects needs a profile of mode object, this is wall"),
    ],
)
def test_a_weight_that_a_profile_does_not_have_is_refused(found: Profile, weight: str, said: str) -> None:
    with pytest.raises(ProfileError) as caught:
        apply(found, Filters(weight=weight))  # type: ignore[arg-type]
    assert str(caught.value).startswith(said)


def test_an_object_stands_for_all_between_two_samples() -> None:
    found = apply(profile(("a", 3), mode="object", interval=60), Filters(weight="objects"))

    assert (found.unit, list(found.weights)) == ("objects", [180])


def test_the_last_segment_begins_after_the_longest_pause() -> None:
    found = last_segment(timed(stopped_us=91_000))

    assert list(fold(found)) == ["d 2", "e 1"]
    assert (found.starts_us, found.stopped_us) == ([0, 500], 1000)
    assert list(found.warnings) == ["the 5 samples before a pause of 88.6 ms are left out"]


def test_without_a_pause_nothing_is_cut_and_that_is_said() -> None:
    found = last_segment(timed(starts_us=[0, 500, 1000, 2500, 3500]))

    assert len(found.order) == 5
    assert "no pause parts the samples" in found.warnings[0]
    assert "no times" in last_segment(timed(starts_us=None)).warnings[0]


@pytest.mark.parametrize("page", ["v2.3.0", "v2.3.4", "v5.0.0"])
def test_the_samples_of_a_crashed_request_are_cut_off(page: str) -> None:
    whole = flamegraph.read(shared(f"mini_profiler/{page}-err500-after-boom.html"))
    kept = last_segment(whole)

    assert 200 < sum(kept.weights) < 300 < sum(whole.weights)
    assert "samples before a step of the clock are left out" in kept.warnings[0]


@pytest.mark.parametrize("page", ["v2.3.0-ok", "v2.3.4-ok", "v2.3.4-async", "v5.0.0-ok", "v5.0.0-async"])
def test_a_page_of_one_request_is_not_cut(page: str) -> None:
    whole = flamegraph.read(shared(f"mini_profiler/{page}.html"))

    assert sum(last_segment(whole).weights) == sum(whole.weights)


NOISE = [
    Frame("Puma::Server#run", "/g/gems/puma-5.6/lib/puma/server.rb", 1),
    Frame("Rack::Head#call", "/g/gems/rack-2.2.22/lib/rack/head.rb", 1),
    Frame("ActiveSupport::Callbacks#run", "/g/gems/activesupport-6.1/lib/x.rb", 1),
    Frame("Array#each", "<cfunc>"),
    Frame("Orders#index", "/srv/app/orders.rb", 1),
    Frame("ActiveRecord::Base#find", "/g/gems/activerecord-6.1/lib/y.rb", 1),
    Frame("Money#to_s", "/g/gems/money-6.1/lib/y.rb", 1),
]


def test_middleware_and_plumbing_are_folded_into_one_frame_each() -> None:
    names = ";".join(frame.name for frame in (*NOISE[:4], NOISE[4], NOISE[5], NOISE[3], NOISE[6], NOISE[3]))
    found = lines(profile((names, 1), frames=NOISE), hide_rails_noise=True)

    assert found == [
        (
            "(Rack middleware, folded);(framework plumbing, folded);Orders#index"
            ";(framework plumbing, folded);Money#to_s;Array#each 1"
        )
    ]


def test_a_real_rails_profile_keeps_its_samples_and_loses_its_depth() -> None:
    found = flamegraph.read(shared("rails/stackprof_cpu_raw.dump"))
    folded = apply(found, Filters(hide_rails_noise=True))

    assert sum(found.weights) == sum(folded.weights)
    assert 2 * max(map(len, folded.stacks)) < max(map(len, found.stacks))


def test_folded_framework_takes_no_time_from_the_app_nor_gives_it_any() -> None:
    found = flamegraph.read(shared("rails/stackprof_wall_raw.dump"), ordered=False)
    before, after = (
        {share.group: share.own for share in shares(each)}
        for each in (found, apply(found, Filters(hide_rails_noise=True)))
    )

    assert [after[group] for group in ("GC", "stdlib", "system")] == [
        before[group] for group in ("GC", "stdlib", "system")
    ]
    assert after["app"] <= before["app"]
    assert after["framework"] > sum(after.values()) / 2
