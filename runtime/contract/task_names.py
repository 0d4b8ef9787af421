"""The Celery task names and queues of the contract. A message says "look"; rows and files are the record."""

NODE_APPLY = "runtime.apply"
NODE_CPU_POOLS = "runtime.cpu_pools"
NODE_DEVICES = "runtime.devices"
NODE_JOB = "runtime.do"
NODE_LOOK = "runtime.look"
NODE_SURVEY = "runtime.survey"
PANEL_OBSERVE = "panel.observe"
PANEL_OBSERVE_NODE = "panel.observe_node"
PANEL_OBSERVE_USAGE = "panel.observe_usage"
PANEL_OBSERVE_JOB = "panel.observe_job"
PANEL_QUEUE = "panel"
#: Where nodes put what they have to say: of the panel's tasks only `PANEL_REPORTS` are taken from there.
REPORT_QUEUE = "reports"
PANEL_REPORTS = frozenset({PANEL_OBSERVE, PANEL_OBSERVE_NODE, PANEL_OBSERVE_USAGE, PANEL_OBSERVE_JOB})


def node_queue(node: str) -> str:
    """The queue that only the worker of this node reads."""
    return f"node.{node}"


def slow_queue(node: str) -> str:
    """What waits for somebody or something, handed over by the node's worker: nobody else waits behind it."""
    return f"node.{node}.slow"
