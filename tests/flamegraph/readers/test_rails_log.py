from __future__ import annotations

import json
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import flamegraph
from flamegraph.groups import group_of
from flamegraph.profile import Frame, Profile, ProfileError
from flamegraph.readers.rails_log import MAX_DEPTH, NOTE
from tests.flamegraph.profiles import shared
from tests.flamegraph.readers.ruby import read_or_refused

TRACE = "app/a.rb:9:in `deep'\nrack (2.2.22) lib/rack.rb:3:in `call'"
RAISED = re.compile(r"^(?:\[[^\]]+\] )?([A-Z]\w*(?:::[A-Z]\w*)*) \(.*\):$", re.MULTILINE)


def line(text: str, pid: int = 7, time: str = "05", level: str = "INFO") -> str:
    return f"{level[0]}, [2026-11-23T02:{time}:41.5 #{pid}] {level:>5} -- : {text}\n"


def started(path: str, pid: int = 7, tag: str = "") -> str:
    return line(f'{tag}Started GET "{path}?id=1" for 127.0.0.1 at 2026', pid)


def completed(status: int, pid: int = 7, tag: str = "") -> str:
    return line(f"{tag}Completed {status} Some Words in 1ms", pid)


def raised(name: str = "KeyError", pid: int = 7, tag: str = "", trace: str = TRACE, time: str = "05") -> str:
    body = f"\n{name} (no such key):\n  \n{trace}"
    return line(tag + "  " + body.replace("\n", "\n" + tag), pid, time, "FATAL")


def stacks(found: Profile) -> list[list[str]]:
    return [[found.frames[frame].name for frame in found.stacks[index]] for index in found.order]


def read(text: str, **options: object) -> list[list[str]]:
    return stacks(flamegraph.read(text.encode(), format="rails-log", **options))


@pytest.mark.parametrize("name", ["production.log", "production_tagged.log"])
def test_every_exception_of_a_recorded_log_is_a_sample(name: str) -> None:
    path = shared(f"logs/{name}")
    expected = Counter(RAISED.findall(path.read_text()))
    found = flamegraph.read(path)

    assert Counter(stack[-1] for stack in stacks(found)) == expected
    assert not any(stack[0] == "unknown request" for stack in stacks(found))
    assert (found.unit, found.note) == ("exceptions", NOTE)


def test_the_stack_is_the_request_the_backtrace_from_its_root_and_the_exception() -> None:
    found = flamegraph.read((started("/a") + completed(500) + raised()).encode())

    assert [found.frames[each] for each in found.stacks[0]] == [
        Frame("GET /a"),
        Frame("call", "rack (2.2.22) lib/rack.rb", 3),
        Frame("deep", "app/a.rb", 9),
        Frame("KeyError"),
    ]


def test_the_gems_of_a_log_are_groups_of_the_legend() -> None:
    assert group_of(Frame("call", "rack (2.2.22) lib/rack.rb", 3)) == "rack 2.2.22"
    assert group_of(Frame("deep", "app/a.rb", 9)) == "app"


def test_an_exception_of_a_request_without_an_answer_is_joined_too() -> None:
    assert read(started("/a") + raised())[0][0] == "GET /a"


def test_a_request_that_was_answered_well_did_not_raise() -> None:
    assert read(started("/a") + completed(200) + raised())[0][0] == "unknown request"


def test_two_requests_of_one_process_leave_the_exception_without_one() -> None:
    assert read(started("/a") + started("/b") + completed(500) + raised())[0][0] == "unknown request"


def test_a_request_of_another_process_does_not_matter() -> None:
    assert read(started("/a", 7) + started("/b", 8) + completed(500, 7) + raised(pid=7))[0][0] == "GET /a"


def test_a_refused_request_next_to_a_running_one_leaves_it_open_who_raised() -> None:
    assert read(started("/a") + completed(404) + started("/c") + started("/d") + raised())[0][0] == "unknown request"


def test_tags_tell_the_requests_of_one_process_apart() -> None:
    text = started("/a", tag="[1] ") + started("/b", tag="[2] ") + completed(500, tag="[2] ")
    text += raised(tag="[2] ") + raised("IOError", tag="[1] ")

    assert [(stack[0], stack[-1]) for stack in read(text)] == [("GET /b", "KeyError"), ("GET /a", "IOError")]


def test_lines_of_tagged_exceptions_may_be_mixed() -> None:
    first = raised(tag="[1] ").splitlines(keepends=True)
    second = raised("IOError", tag="[2] ").splitlines(keepends=True)
    mixed = "".join(each for pair in zip(first, second, strict=True) for each in pair)

    assert [stack[1:] for stack in read(mixed)] == [["call", "deep", "KeyError"], ["call", "deep", "IOError"]]


def test_every_line_may_carry_the_whole_prefix() -> None:
    text = "".join(line(each, level="FATAL") for each in ["  ", "KeyError (x):", "  ", *TRACE.split("\n")])

    assert read(text)[0][1:] == ["call", "deep", "KeyError"]


def test_messages_of_several_lines_causes_and_source_are_skipped() -> None:
    text = line(
        "\nKeyError (first\nsecond ):\n  \nCauses:\nIOError (inner)\n    1: <%= x %>\n  \n" + TRACE, level="FATAL"
    )

    assert read(text) == [["unknown request", "call", "deep", "KeyError"]]


def test_a_trace_without_a_logger_before_it_is_read() -> None:
    assert read(f'Started GET "/a" for x\nKeyError (x):\n\n{TRACE}\n')[0][0] == "GET /a"


def test_too_deep_a_trace_is_cut_in_its_middle() -> None:
    trace = "\n".join(f"a.rb:{number}:in `rec'" for number in range(1, 10_001))
    found = flamegraph.read(raised("SystemStackError", trace=trace).encode())
    stack = [found.frames[each] for each in found.stacks[0]]

    assert len(stack) == MAX_DEPTH
    assert stack[1].line == 10_000
    assert stack[-2].line == 1
    assert [each.name for each in stack if each.name not in ("rec", "unknown request", "SystemStackError")] == [
        "(7,955 more)"
    ]


def test_exceptions_are_chosen_by_class_path_and_time() -> None:
    text = started("/a") + raised(time="06") + started("/b") + raised("IOError", time="07")

    assert [stack[-1] for stack in read(text, exception="IOError")] == ["IOError"]
    assert [stack[-1] for stack in read(text, path="/a")] == ["KeyError"]
    assert [stack[-1] for stack in read(text, since="2026-11-23 02:07")] == ["IOError"]
    with pytest.raises(ProfileError, match=r"^a log, but none of its 2 exceptions is asked for$"):
        read(text, since="2026-11-24")
    with pytest.raises(ProfileError, match=r"^--since is a time as 2026-11-23T02:05, was 'now'$"):
        read(text, since="now")


@pytest.mark.parametrize(
    "facts",
    [
        {"exception": ["KeyError", "no"], "backtrace": TRACE.split("\n")},
        {"exception": ["KeyError", "no"], "exception_backtrace": TRACE},
        {"exception": {"class": "KeyError", "backtrace": TRACE.split("\n")}},
        {"exception": {"name": "KeyError", "stack_trace": TRACE.split("\n")}},
        {"exception_class": "KeyError", "stacktrace": TRACE.split("\n")},
        {"error": "KeyError: no", "backtrace": TRACE.split("\n")},
    ],
)
def test_objects_of_json_are_read_in_the_words_of_several_loggers(facts: dict[str, object]) -> None:
    table = {"method": "POST", "path": "/a?b=1", "status": 500, "@timestamp": "2026-11-23T02:06:00Z"}
    good = {"method": "GET", "path": "/", "status": 200}
    text = json.dumps(good) + "\n" + json.dumps(table | facts) + "\n"

    assert stacks(flamegraph.read(text.encode())) == [["POST /a", "call", "deep", "KeyError"]]
    with pytest.raises(ProfileError):
        flamegraph.read(text.encode(), since="2026-11-23T02:07")


def test_a_log_without_exceptions_is_refused() -> None:
    with pytest.raises(ProfileError, match=r"^a log, but no exception$"):
        flamegraph.read((started("/a") + completed(200)).encode())


pieces = st.sampled_from(
    [started("/a"), completed(500), completed(404), raised(), raised(tag="[t] "), "[t] ", "KeyError (x", "):\n", TRACE]
)


@given(st.lists(st.one_of(pieces, st.text(max_size=9)), max_size=12).map("".join))
def test_any_log_is_read_or_refused(text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    read_or_refused(lambda data: flamegraph.read(data, format="rails-log"), data)
    read_or_refused(flamegraph.read, b'{"method":1,"path":2}\n' + data)


@pytest.mark.parametrize("time", [1_763_863_541, 1_763_863_541_250.0, "2025-11-23 02:05:41"])
def test_times_of_json_are_texts_seconds_or_milliseconds(time: object) -> None:
    text = json.dumps({"method": "GET", "path": "/a", "exception": ["KeyError", "x"], "ts": time})

    assert read(text, since="2025-11-23T02:05:41") == [["GET /a", "KeyError"]]
    with pytest.raises(ProfileError, match="none of its 1 exceptions is asked for"):
        read(text, since="2025-11-23T02:05:42")


def test_exceptions_without_a_time_that_since_leaves_out_are_said() -> None:
    known = {"method": "GET", "path": "/a", "exception": ["KeyError", "x"], "backtrace": ["a.rb:1"]}
    text = json.dumps(known) + "\n" + json.dumps({**known, "time": "2025-11-23T02:05:41Z"})
    found = flamegraph.read(text.encode(), since="2025-11-23")

    assert len(found.order) == 1
    assert list(found.warnings) == ["1 of the exceptions have no time: --since leaves them out"]
