"""What must hold once things are quiet again, whatever was killed, cut off or sent twice before."""

import time
from typing import Any

from tests.faults.support.stack import Stack

_OPEN = ("pending", "running")


def violations(stack: Stack) -> list[str]:
    """One sentence for each thing that isn't so now; empty when all is well."""
    rows = {row["id"]: row for row in stack.environments()}
    kernel = stack.kernel()
    found = [*_open_operations(stack), *stack.sums()]
    found += [f"leak: {leak}" for leak in kernel["leaks"]]
    found += [f"lacking: {name}: {why}" for name, why in kernel["missing"].items()]
    there = kernel["environments"]
    strangers = there.keys() - rows.keys()
    found += [f"the node has {there[pk]['name']} ({pk}), the panel doesn't" for pk in strangers]
    for pk, row in rows.items():
        one = there.get(pk)
        if one is not None:
            found += [f"{row['name']}: {what}" for what in _differences(row, one)]
        elif row["observed_generation"]:
            found.append(f"the panel has {row['name']} ({pk}), the node doesn't")
    return found


def check_invariants(stack: Stack, seconds: float = 60) -> None:
    """Waits until nothing is violated, at most so long; then says what still is.

    No leak (what is there = what is wanted), no open operation, no double effect (an address, a slot, a
    running init), database and kernel agree, and sums of quotas are right.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            found = violations(stack)
        except (OSError, AssertionError) as away:  # the panel itself is just being started again
            found = [f"it can't be looked at: {away}"]
        if not found:
            return
        if time.monotonic() > until:
            raise AssertionError("not so after {:g} s:\n{}".format(seconds, "\n".join(found)))
        time.sleep(0.2)


def _open_operations(stack: Stack) -> list[str]:
    found = []
    for state in _OPEN:
        answer = stack.wadah.call("GET", f"/operations?state={state}&limit=100")
        found += [
            f"operation {row['kind']} {row['environment_name']} is {row['state']}"
            for row in answer.body["items"]
        ]
    return found


def _differences(row: dict[str, Any], there: dict[str, Any]) -> list[str]:
    found = []
    if there["busy"]:
        found.append("the node is at work on it")
    if row["generation"] != there["generation"]:
        found.append(f"generation {row['generation']} in the panel, {there['generation']} on the node")
    has_failed = bool(row["code"]) and row["observed_generation"] < row["generation"]
    if not has_failed:
        if there["applied"] != row["generation"]:
            found.append(f"generation {there['applied']} was brought about, {row['generation']} is wanted")
        if row["desired_state"] != there["state"] and not row["code"]:
            found.append(f"{row['desired_state']} is wanted, the kernel shows {there['state']}")
        if row["state"] != there["state"]:
            found.append(f"{row['state']} in the panel, {there['state']} in the kernel")
        for field, value in there["limits"].items():
            if row["limits"][field] != value:
                found.append(f"{field} is {row['limits'][field]} in the panel, {value} on the node")
        found += _kernel_limits(row, there["resources"])
    return found


def _kernel_limits(row: dict[str, Any], resources: dict[str, Any]) -> list[str]:
    """The disk limit as the kernel holds it; cgroups are looked at by the node's own drift check."""
    volume = resources.get("root volume")
    if volume is None:
        return ["it has no root volume"]
    wanted = row["limits"]["disk_mb"] * 2**20
    return [] if volume["limit_bytes"] == wanted else [f"the kernel holds {volume['limit_bytes']} of disk"]
