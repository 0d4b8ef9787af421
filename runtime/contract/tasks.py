"""The Celery task names and queues of the contract. A message says "look"; rows and files are the record."""

NODE_APPLY = "runtime.apply"
NODE_IMAGE = "runtime.image"
PANEL_OBSERVE = "panel.observe"
PANEL_OBSERVE_NODE = "panel.observe_node"
PANEL_OBSERVE_USAGE = "panel.observe_usage"
PANEL_OBSERVE_IMAGE = "panel.observe_image"
PANEL_QUEUE = "panel"


def node_queue(node: str) -> str:
    """The queue that only the worker of this node reads."""
    return f"node.{node}"
