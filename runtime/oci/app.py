"""OCI runtime configuration (runtime-spec 1.0.2) of the kind `app`: what its image says, and what was asked for
beside it. Of both only words, variables, user, directory and signal are taken; all that confines it is ours."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.contract import AppOptions, EnvironmentSpec, ImageConfig
from runtime.contract.tmpfs import Tmpfs
from runtime.contract.words import apps
from runtime.errors import RuntimeFault
from runtime.host.safetree import SafeTree
from runtime.node import Node
from runtime.oci.app_walls import held_by_root, limits_of_processes, settings_of
from runtime.oci.config import DEFAULT_STOP, ENVIRONMENT, KIND, system_config
from runtime.oci.init import signal_number
from runtime.oci.users import user_of

if TYPE_CHECKING:
    from runtime.kinds.base import FirstCommand

#: Of the host, shown to the app as its first process.
INIT_PROGRAM, INIT = Path("/usr/bin/catatonit"), "/dev/init"
#: As Docker and Compose have it.
_SECRETS = "/run/secrets"
_OF_A_SYSTEM = frozenset(("/run", "/run/systemd/system/service.d"))


def words_of(app: AppOptions, image: ImageConfig) -> list[str]:
    """What is run: `command` takes the place of the image's entrypoint and of its arguments, `args` of the
    arguments alone. Raises `RuntimeFault` when nobody says anything."""
    entry = image.entrypoint if app.command is None else app.command
    default = image.cmd if app.command is None else ()
    words = [*entry, *(default if app.args is None else app.args)]
    if not words or not words[0]:
        raise RuntimeFault(
            apps.no_command(), code="no_command", next_step=apps.give_a_command(), retryable=False
        )
    return words


def stop_signal_of(app: AppOptions, image: ImageConfig) -> str:
    """Raises `RuntimeFault` for what is none."""
    name = app.stop_signal or image.stop_signal or DEFAULT_STOP
    try:
        signal_number(name)
    except ValueError as odd:
        raise RuntimeFault(apps.no_signal(name), code="bad_signal", retryable=False) from odd
    return name


def app_config(
    node: Node, spec: EnvironmentSpec, image: ImageConfig, command: "FirstCommand"
) -> dict[str, Any]:
    """Of the configuration of a whole system what an app has as well, and its own. Raises `RuntimeFault`."""
    app = spec.app
    assert app is not None
    words = command.words
    with SafeTree.open(node.root_volume(spec.id)) as tree:
        user = user_of(tree, image.user if app.user is None else app.user)
        directory = _made(tree, app.workdir or image.workdir or "/")
        tmpfs = [(_made(tree, one.path), one) for one in map(Tmpfs.parse, app.tmpfs)]
        secrets = _made(tree, _SECRETS) if app.secrets else ""
    config = system_config(node, spec, command)
    own = held_by_root(spec, app)
    for_root = own if user.uid == 0 else []
    config["process"] |= {
        "terminal": app.tty,
        "user": {"uid": user.uid, "gid": user.gid, "additionalGids": list(user.groups)},
        "cwd": directory,
        "args": [INIT, "--", *words] if app.init else words,
        "env": _variables(spec, app, image, user.home),
        "noNewPrivileges": True,
        "capabilities": {
            "bounding": own,
            "effective": for_root,
            "permitted": for_root,
            "inheritable": [],
            "ambient": [],
        },
        "rlimits": limits_of_processes(spec, app),
    }
    if settings := settings_of(spec, app):
        config["linux"]["sysctl"] = settings
    config["root"]["readonly"] = app.read_only
    config["annotations"][KIND] = "app"
    config["mounts"] = _mounts(app, tmpfs, config["mounts"])
    if secrets:
        source = str(node.secrets / str(spec.id))
        options = ["bind", "ro", "nosuid", "nodev", "noexec"]
        config["mounts"].append({"destination": secrets, "type": "bind", "source": source, "options": options})
    return config


def _made(tree: SafeTree, path: str) -> str:
    """The directory that this path leads to inside the tree, over its links; made where there is none.

    Raises `RuntimeFault` where it can't be, or leads to what isn't the tree's own: below /proc an open
    directory of the host could be found (CVE-2024-21626).
    """
    parts = [one for one in path.split("/") if one not in ("", ".")]
    place = ""
    for part in parts:
        below = f"{place}/{part}"
        found = tree.place_of(below)
        if found is None:
            tree.make_directory(below)
            found = below
        place = found.rstrip("/")
        if place.split("/")[1:2] in (["proc"], ["sys"], ["dev"]):
            raise RuntimeFault(apps.odd_directory(path), code="bad_directory", retryable=False)
    return place or "/"


def _variables(spec: EnvironmentSpec, app: AppOptions, image: ImageConfig, home: str) -> list[str]:
    """As Docker has them: its own, those of the image, those that were asked for."""
    path = next(one for one in ENVIRONMENT if one.startswith("PATH="))
    known = dict(one.partition("=")[::2] for one in (path, f"HOSTNAME={spec.host_name}", f"HOME={home}"))
    known |= {"TERM": "xterm-256color"} if app.tty else {}
    known |= dict(one.partition("=")[::2] for one in image.env if "=" in one)
    return [f"{name}={value}" for name, value in {**known, **app.env}.items()]


def _mounts(
    app: AppOptions, tmpfs: list[tuple[str, Tmpfs]], of_a_system: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    kept = [dict(one) for one in of_a_system if one["destination"] not in _OF_A_SYSTEM]
    if app.shm_mb is not None:
        for one in kept:
            if one["destination"] == "/dev/shm":  # noqa: S108
                plain = [option for option in one["options"] if not option.startswith("size=")]
                one["options"] = [*plain, f"size={app.shm_mb}m"]
    for place, wanted in tmpfs:
        kept.append({"destination": place, "type": "tmpfs", "source": "tmpfs", "options": wanted.mount_options})
    if app.init:
        options = ["bind", "ro", "nosuid", "nodev"]
        kept.append({"destination": INIT, "type": "bind", "source": str(INIT_PROGRAM), "options": options})
    return kept
