"""F22: a message of a node, taken from the panel's queue, sends nobody anywhere."""

from typing import Any

import pytest

from runtime.contract.transport import refuse_follow_ups

_FOLLOW_UP = [{"task": "runtime.apply", "options": {"queue": "node.other"}}]


@pytest.mark.parametrize(
    "more", [None, {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
)
def test_a_message_that_only_says_look_is_taken(more: Any) -> None:
    refuse_follow_ups("panel.observe", [[{}], {}, more])


@pytest.mark.parametrize(
    ("task", "body"),
    [
        *(
            ("panel.observe", [[], {}, {key: _FOLLOW_UP}])
            for key in ("callbacks", "errbacks", "chain", "chord", "new")
        ),
        ("celery.group", [[], {}, {}]),
        ("celery.chord_unlock", [[], {}, {}]),
        (None, [[], {}, {}]),
        ("panel.observe", [[], {}, _FOLLOW_UP]),
        ("panel.observe", {"task": "panel.observe", "callbacks": _FOLLOW_UP}),
    ],
)
def test_a_task_to_follow_is_refused(task: Any, body: Any) -> None:
    with pytest.raises(ValueError, match=r"task|form"):
        refuse_follow_ups(task, body)
