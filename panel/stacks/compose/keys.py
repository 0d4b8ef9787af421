"""Keys of Compose that aren't done: refused with a way round, or left aside with a word about it."""

from collections.abc import Mapping
from typing import Final

from runtime.contract.said import Said, add


def _said(code: str, text: str) -> Said:
    """One that has no values, known by its English to translations as others are."""
    add(f"keys.{code}", text)
    return Said(text, f"keys.{code}")


def _refused(where: str, table: Mapping[str, tuple[str, str]]) -> dict[str, tuple[Said, Said]]:
    return {
        key: (_said(f"{where}_{key}_why", why), _said(f"{where}_{key}_way_round", way_round))
        for key, (why, way_round) in table.items()
    }


def _aside(where: str, table: Mapping[str, str]) -> dict[str, Said]:
    return {key: _said(f"{where}_{key}_aside", text) for key, text in table.items()}


_CONFINED = "an environment's confinement is the same for everybody"
_OWN = "an environment has its own, and shares it with nobody"
_MANY_NODES = "leave it out: the stack's services run on one node"

#: By key of a service: why it can't be had, and the way round.
REFUSED: Final = _refused(
    "service",
    {
        "build": (
            "nothing is built by a stack",
            "build the image, push it to a registry, and name it as image",
        ),
        "extends": ("another file isn't read", "write its keys here, or use an anchor and <<"),
        "volumes_from": ("volumes are named", "name the same volumes under volumes"),
        "group_add": (_CONFINED, "name the group with the user: user: name:group"),
        "userns_mode": (_OWN, "leave it out"),
        "cgroup": (_OWN, "leave it out"),
        "cgroup_parent": (_OWN, "leave it out"),
        "uts": (_OWN, "leave it out"),
        "isolation": (_OWN, "leave it out"),
        "runtime": ("the node chooses what runs it", "leave it out"),
        "device_cgroup_rules": (_CONFINED, "leave it out"),
        "credential_spec": ("that is Windows' own", "leave it out"),
        "gpus": ("a node gives no graphics processor away", "leave it out"),
        "blkio_config": ("the disk's pace is the plan's", "choose a plan with it"),
        "cpuset": ("processors aren't named", "set cpus"),
        "cpu_count": ("processors aren't named", "set cpus"),
        "cpu_percent": ("that is Windows' own", "set cpus"),
        "cpu_period": ("the share is one number", "set cpus"),
        "cpu_quota": ("the share is one number", "set cpus"),
        "cpu_rt_period": ("no real-time processes run inside", "leave it out"),
        "cpu_rt_runtime": ("no real-time processes run inside", "leave it out"),
        "mem_swappiness": ("the kernel decides when it swaps", "leave it out"),
        "oom_kill_disable": ("whoever is out of memory ends", "leave it out"),
        "oom_score_adj": ("whoever is out of memory ends", "leave it out"),
        "mac_address": ("a link's address follows from the environment's id", "leave it out"),
        "domainname": ("an environment has a name alone", "leave it out"),
        "dns_search": ("names are looked up as they are", "write whole names"),
        "dns_opt": ("the resolver's options are the node's", "leave it out"),
        "external_links": ("names of other stacks aren't known", "put both into one stack"),
        "post_start": (
            "nothing is run beside a service",
            "make it a service of its own, and let others wait for it",
        ),
        "pre_stop": ("nothing is run beside a service", "handle the stop signal in the application"),
        "provider": ("a service is an image", "name an image"),
        "models": ("a service is an image", "name an image"),
        "use_api_socket": ("there is no Docker to speak to", "leave it out"),
    },
)
#: By key of a service: what is told of it.
LEFT_ASIDE: Final = _aside(
    "service",
    {
        "label_file": "another file isn't read for labels",
        "annotations": "annotations aren't kept",
        "pull_policy": "a tag is resolved whenever the service is made anew",
        "attach": "each service has a console of its own",
        "develop": "it is for Compose on a developer's machine",
        "mem_reservation": "memory is held to its limit alone",
        "cpu_shares": "the weight is the plan's",
        "storage_opt": "its disk is the plan's",
        "memswap_limit": "swap is the plan's",
    },
)
#: At the top of the file.
TOP_REFUSED: Final = _refused(
    "file",
    {
        "include": ("another file isn't read", "put its services into this one"),
        "models": ("a service is an image", "name an image"),
    },
)
TOP_KNOWN: Final = ("version", "name", "services", "networks", "volumes", "configs", "secrets")
#: Below `deploy`: what is done there is read elsewhere.
DEPLOY_REFUSED: Final = _refused(
    "deploy",
    {
        "placement": ("services run on one node", _MANY_NODES),
    },
)
DEPLOY_ASIDE: Final = _aside(
    "deploy",
    {
        "labels": "labels of a service as a whole aren't kept; those of its containers are",
        "endpoint_mode": "each copy has an address of its own",
        "update_config": "changed services are made anew one by one",
        "rollback_config": "changed services are made anew one by one",
    },
)
