"""F22: a message of a node, taken from the panel's queue, sends nobody anywhere."""

from typing import Any

import pytest

from runtime.contract.transport import refuse_errands

_ERRAND = [{"task": "runtime.apply", "options": {"queue": "node.other"}}]


@pytest.mark.parametrize(
    "more", [None, {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
)
def test_a_message_that_only_says_look_is_taken(more: Any) -> None:
    refuse_errands("panel.observe", [[{}], {}, more])


@pytest.mark.parametrize(
    ("task", "body"),
    [
        *(
            ("panel.observe", [[], {}, {key: _ERRAND}])
            for key in ("callbacks", "errbacks", "chain", "chord", "new")
        ),
        ("celery.group", [[], {}, {}]),
        ("celery.chord_unlock", [[], {}, {}]),
        (None, [[], {}, {}]),
        ("panel.observe", [[], {}, _ERRAND]),
        ("panel.observe", {"task": "panel.observe", "callbacks": _ERRAND}),
    ],
)
def test_an_errand_is_refused(task: Any, body: Any) -> None:
    with pytest.raises(ValueError, match=r"task|form"):
        refuse_errands(task, body)
