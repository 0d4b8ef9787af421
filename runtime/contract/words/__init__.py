"""Every sentence that a node can say to the panel, each with its English: see `runtime.contract.said`.

A new one is two lines in the file of what it is about, and its translation in `panel/locale/*/LC_MESSAGES`;
`tests/panel/test_said.py` says what is missing. A sentence begins small and ends without a full stop where
another may embed it.
"""

from runtime.contract.words import (
    advice,
    agent,
    apps,
    asked,
    backups,
    builds,
    changes,
    checks,
    devices,
    directories,
    drift,
    ends,
    health,
    images,
    jails,
    jobs,
    kernels,
    refusals,
    shipping,
    steps,
    volumes,
    ways,
)

__all__ = [
    "advice",
    "agent",
    "apps",
    "asked",
    "backups",
    "builds",
    "changes",
    "checks",
    "devices",
    "directories",
    "drift",
    "ends",
    "health",
    "images",
    "jails",
    "jobs",
    "kernels",
    "refusals",
    "shipping",
    "steps",
    "volumes",
    "ways",
]
