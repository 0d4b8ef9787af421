"""What panel and runtime say to each other: the only package that both import.

Every model is frozen, refuses unknown fields and carries ids, names, numbers and enums: never a
path of the host, never a command for it. So whoever takes over the panel can't reach a node's files.
"""

from runtime.contract.environment import (
    AppOptions,
    Credentials,
    DesiredState,
    EnvironmentSpec,
    Forward,
    Kernel,
    Kind,
    Limits,
    Network,
    RestartMode,
    RestartPolicy,
    SecurityClass,
    SecurityProfile,
    TenantEnvelope,
)
from runtime.contract.image import ArchiveFile, ImageReport, ImageSource, ImageSpec, ImageState
from runtime.contract.node import Check, CheckLevel, Lacking, Leak, NodeFacts, NodeReport, Survey
from runtime.contract.report import ObservedState, Report, Step, StepState, Usage, UsageReport
from runtime.contract.tasks import (
    NODE_APPLY,
    NODE_IMAGE,
    NODE_LOOK,
    NODE_SURVEY,
    PANEL_OBSERVE,
    PANEL_OBSERVE_IMAGE,
    PANEL_OBSERVE_NODE,
    PANEL_OBSERVE_USAGE,
    PANEL_QUEUE,
    node_queue,
    slow_queue,
)
from runtime.contract.ticket import Purpose, Ticket

__all__ = [
    "NODE_APPLY",
    "NODE_IMAGE",
    "NODE_LOOK",
    "NODE_SURVEY",
    "PANEL_OBSERVE",
    "PANEL_OBSERVE_IMAGE",
    "PANEL_OBSERVE_NODE",
    "PANEL_OBSERVE_USAGE",
    "PANEL_QUEUE",
    "AppOptions",
    "ArchiveFile",
    "Check",
    "CheckLevel",
    "Credentials",
    "DesiredState",
    "EnvironmentSpec",
    "Forward",
    "ImageReport",
    "ImageSource",
    "ImageSpec",
    "ImageState",
    "Kernel",
    "Kind",
    "Lacking",
    "Leak",
    "Limits",
    "Network",
    "NodeFacts",
    "NodeReport",
    "ObservedState",
    "Purpose",
    "Report",
    "RestartMode",
    "RestartPolicy",
    "SecurityClass",
    "SecurityProfile",
    "Step",
    "StepState",
    "Survey",
    "TenantEnvelope",
    "Ticket",
    "Usage",
    "UsageReport",
    "node_queue",
    "slow_queue",
]
