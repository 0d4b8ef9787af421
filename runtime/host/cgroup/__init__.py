"""Control groups: v2 where the host has it, v1 where it doesn't, behind one set of verbs.

Paths are relative to the top of every hierarchy, such as `wadah/<tenant>/<environment>`.
"""

from runtime.host.cgroup.base import LEAST_GROUPS, MOST_GROUPS, GroupLimits, Groups, GroupUsage
from runtime.host.cgroup.host import ROOT, groups, version

__all__ = ["LEAST_GROUPS", "MOST_GROUPS", "ROOT", "GroupLimits", "GroupUsage", "Groups", "groups", "version"]
