"""What becomes of environments when their node has started anew."""

from panel import dispatch
from panel.environments.models import Environment
from panel.nodes.models import Node

#: The node takes no more of them in one message (`runtime.worker`).
_AT_ONCE = 500


def hear_anew(node: Node) -> None:
    """A node that has started anew may have lost its last writes with the power: it says what it has of each
    environment, and what it is behind with is sent again by the resync. What it doesn't know it leaves out.
    """
    living = Environment.objects.living().filter(node=node).order_by("pk").values_list("pk", flat=True)
    found = list(living)
    for first in range(0, len(found), _AT_ONCE):
        dispatch.ask_to_look(node.name, found[first : first + _AT_ONCE])
