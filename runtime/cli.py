"""The runtime's own command line: works without the panel, Redis or the database. Root.

python -m runtime.cli --home HOME list|inspect|enter|logs|leaks|prepare|reconcile|purge
"""

import json
import os
import signal
import sys
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from runtime.contract.said import plain
from runtime.errors import RuntimeFault
from runtime.node import DEFAULT_HOME, Node

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
_home = Path(os.environ.get("WADAH_HOME", DEFAULT_HOME))

Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Environment = Annotated[str, typer.Argument(help="Id (or the beginning of it) or name.")]


@cli.callback()
def _options(home: Annotated[Path, typer.Option(help="State of the installation.")] = _home) -> None:
    global _home  # noqa: PLW0603 (set once, by the command line)
    _home = home.resolve()


_CHOSEN = "Of a new node's environments; left out, it draws one that is free here."


def _node() -> Node:
    """The prepared node, entered."""
    from runtime.prepare import enter

    try:
        node = Node.load(_home)
    except FileNotFoundError:
        raise RuntimeFault(
            plain(f"there is no node in {_home}"), next_step=plain("Run `./wadah up` first.")
        ) from None
    except PermissionError:
        raise RuntimeFault(plain("only root may look at a node"), next_step=plain("Use sudo.")) from None
    enter(node)
    return node


def _find(node: Node, wanted: str) -> UUID:
    from runtime.known import known_environments
    from runtime.state import Records

    found = []
    for environment_id in known_environments(node):
        spec = Records(node, environment_id).wanted()
        if str(environment_id).startswith(wanted.lower()) or (spec and spec.name == wanted):
            found.append(environment_id)
    if len(found) == 1:
        return found[0]
    what = "no environment is" if not found else f"{len(found)} environments are"
    raise RuntimeFault(plain(f"{what} called “{wanted}” on this node"), next_step=plain("See `node list`."))


def _print(document: Any) -> None:
    print(json.dumps(document, indent=2, default=str))


@cli.command("list")
def list_(json_: Json = False) -> None:
    """Environments of this node with their state, as the kernel shows it."""
    from runtime.engine import Engine
    from runtime.known import known_environments
    from runtime.resources.volume import RootVolume
    from runtime.state import Records

    node = _node()
    engine, volume = Engine(node), RootVolume(node)
    rows: list[dict[str, Any]] = []
    for environment_id in known_environments(node):
        spec = Records(node, environment_id).wanted()
        if spec is None:
            continue
        state, pid = engine.observe(environment_id)
        rows.append(
            {
                "id": str(environment_id),
                "name": spec.name,
                "tenant": str(spec.tenant_id),
                "state": state.value,
                "desired": spec.desired.value,
                "generation": spec.generation,
                "applied": Records(node, environment_id).state().applied,
                "image": spec.image,
                "pid": pid,
                "addresses": [str(one) for one in (*spec.network.ipv4, *spec.network.ipv6)],
                "disk_bytes": volume.used_bytes(environment_id),
            }
        )
    if json_:
        _print(rows)
        return
    for row in rows:
        addresses = ",".join(row["addresses"])
        print(f"{row['id'][:8]}  {row['state']:8}  {row['image']:12}  {row['name']:24}  {addresses}")


@cli.command()
def inspect(environment: Environment, json_: Json = False) -> None:
    """Each resource of an environment as the kernel shows it, its spec, state and journal."""
    from runtime.engine import Engine
    from runtime.state import Records

    node = _node()
    environment_id = _find(node, environment)
    records = Records(node, environment_id)
    spec = records.wanted()
    document = {
        "id": str(environment_id),
        "spec": spec.model_dump(mode="json", exclude={"credentials"}) if spec else None,
        "state": records.state().model_dump(),
        "resources": Engine(node).inspect(environment_id),
        "journal": records.journal_lines()[-40:],
    }
    _print(document)


@cli.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def enter(
    environment: Environment, command: Annotated[list[str] | None, typer.Argument(help="Command.")] = None
) -> None:
    """A root shell in an environment (or a command), with the environment's own confinement."""
    from runtime.console.exec import exec_arguments

    node = _node()
    words = exec_arguments(
        node, _find(node, environment), command or ["/bin/sh", "-l"], terminal=sys.stdin.isatty()
    )
    os.execv(words[0], words)  # noqa: S606 (no shell: the OCI runtime's own argv)


@cli.command()
def logs(
    environment: Environment,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many from the end.")] = 100,
) -> None:
    """The end of the environment's console."""
    from runtime.console.log import tail
    from runtime.sandboxes import sandbox_of

    node = _node()
    console = sandbox_of(node).console(_find(node, environment))
    sys.stdout.buffer.write(tail(console.log, lines))


@cli.command()
def leaks(json_: Json = False) -> None:
    """Objects with our mark that no environment owns. Ends with 1 when there are any."""
    from runtime.engine import Engine
    from runtime.resources.volume import RootVolume

    node = _node()
    engine = Engine(node)
    found, missing, cleaned = engine.leaks(), engine.missing(), RootVolume(node).being_cleaned()
    if json_:
        _print(
            {
                "leaks": [
                    {"resource": one.resource, "environment": one.environment_id, "what": one.what}
                    for one in found
                ],
                "missing": {str(key): why for key, why in missing.items()},
                "being_cleaned": cleaned,
            }
        )
    else:
        for one in found:
            print(f"{one.resource}: {one.what} (environment {one.environment_id or 'unknown'})")
        for key, why in missing.items():
            print(f"missing: {key}: {why}")
        if not found:
            print("no leaks")
        if cleaned:
            print(f"{cleaned} deleted subvolumes are still being cleaned by the kernel")
    raise typer.Exit(1 if found else 0)


@cli.command()
def quarantine(
    delete: Annotated[str, typer.Option(help="Name of one to delete for good.")] = "", json_: Json = False
) -> None:
    """Root volumes that no environment owned: put aside by the node, never deleted by it."""
    from runtime.resources.volume import RootVolume

    volume = RootVolume(_node())
    if delete:
        volume.delete_quarantined(delete)
    names = volume.quarantined()
    if json_:
        _print(names)
        return
    for name in names:
        print(name)


@cli.command()
def prepare(
    network_namespace: Annotated[str, typer.Option(envvar="WADAH_NODE_NETNS", hidden=True)] = "",
    ipv4_network: Annotated[str, typer.Option(envvar="WADAH_NODE_IPV4_NETWORK", help=_CHOSEN)] = "",
    ipv6_network: Annotated[str, typer.Option(envvar="WADAH_NODE_IPV6_NETWORK", help=_CHOSEN)] = "",
    pool_device: Annotated[
        str, typer.Option(envvar="WADAH_NODE_POOL_DEVICE", help="An empty block device for the pool.")
    ] = "",
    pool_preallocate: Annotated[
        bool, typer.Option(envvar="WADAH_NODE_POOL_PREALLOCATE", help="Write the pool's file whole at once.")
    ] = False,
) -> None:
    """Makes this machine a node; a no-op where all is there."""
    from runtime.claims import network_of
    from runtime.pool import OfPool
    from runtime.prepare import prepare as make_ready

    make_ready(
        _home,
        network_namespace=network_namespace or None,
        ipv4_network=network_of(ipv4_network, IPv4Network),
        ipv6_network=network_of(ipv6_network, IPv6Network),
        of_pool=OfPool(pool_device, pool_preallocate),
        say=print,
    )


@cli.command()
def image(name: Annotated[str, typer.Argument(help="busybox, debian-12 or debian-13.")]) -> None:
    """Builds an image of the node, with its progress; a no-op when it is there."""
    from runtime.contract import ImageReport, ImageSource, ImageSpec, ImageState
    from runtime.jobs.images import ensure_image

    last: list[ImageReport] = []

    def tell(report: ImageReport) -> None:
        last.append(report)
        if report.state is ImageState.BUILDING:
            print(f"{report.progress:4.0%} {report.message}", flush=True)

    def stop(*_: object) -> None:
        raise SystemExit("stopped")  # so that the build ends its programs and deletes what it has

    node = _node()
    signal.signal(signal.SIGTERM, stop)
    ensure_image(node, ImageSpec(node=node.name, name=name, source=ImageSource(name)), tell)
    if last[-1].state is ImageState.FAILED:
        print(last[-1].message)
        raise typer.Exit(1)


backups = typer.Typer(no_args_is_help=True, help="Backups, with repository and password alone.")
cli.add_typer(backups, name="backup")
_Repository = Annotated[
    str,
    typer.Option(
        help="Directory with the file “config” in it, s3:https://HOST/BUCKET/PREFIX or sftp://USER@HOST/PATH."
        " Servers are opened by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, SFTP_KEY_FILE or SFTP_PASSWORD."
    ),
]
_PasswordFile = Annotated[
    Path | None, typer.Option(help="It is asked for (or taken from RESTIC_PASSWORD) where no file has it.")
]


def _repository(text: str) -> str:
    return text if "://" in text else str(_named(Path(text)))


def _named(path: Path) -> Path:
    """As seen from where the command was called."""
    return Path(os.environ.get("WADAH_FROM", ".")).absolute() / path


def _password(file: Path | None) -> str:
    if file is not None:
        return _named(file).read_text().strip()
    return os.environ.get("RESTIC_PASSWORD") or str(typer.prompt("Password", hide_input=True, err=True))


@backups.command("list")
def backup_list(repository: _Repository, password_file: _PasswordFile = None, json_: Json = False) -> None:
    """What is in a repository, oldest first."""
    from runtime.backups.by_hand import listed

    repository, password = _repository(repository), _password(password_file)
    found = listed(_node(), repository, password)
    if json_:
        _print(found)
        return
    for one in found:
        print(f"{one['id']}  {one['at']}  {one.get('name', '?'):24} {one.get('environment', '?')}")


@backups.command("about")
def backup_about(
    backup: Annotated[str, typer.Argument(help="Its id, as the list has it.")],
    repository: _Repository,
    password_file: _PasswordFile = None,
) -> None:
    """What the environment was: image, limits, plan, SSH keys."""
    from runtime.backups.by_hand import about

    repository, password = _repository(repository), _password(password_file)
    _print(about(_node(), repository, password, backup))


@backups.command("restore")
def backup_restore(
    backup: Annotated[str, typer.Argument(help="Its id, as the list has it.")],
    to: Annotated[Path, typer.Argument(help="A new directory.")],
    repository: _Repository,
    password_file: _PasswordFile = None,
) -> None:
    """All files of a backup, with the owners that they had inside, into a new directory."""
    from runtime.backups.by_hand import restore

    repository, to, password = _repository(repository), _named(to), _password(password_file)
    restore(_node(), repository, password, backup, to)
    print(f"restored into {to}")


@backups.command("put", hidden=True)
def backup_put(
    directory: Annotated[Path, typer.Argument(help="What goes into it.")],
    repository: _Repository,
    password_file: _PasswordFile = None,
    keep: Annotated[int, typer.Option(help="Of those of this panel so many of the newest; 0: all.")] = 0,
) -> None:
    """A directory of the panel's, as a backup of it (`./wadah backup panel`)."""
    from runtime.backups.of_panel import put

    password = _password(password_file)
    _print(put(_node(), _repository(repository), password, directory, keep=keep))


@backups.command("get", hidden=True)
def backup_get(
    backup: Annotated[str, typer.Argument(help="Its id; latest.")],
    to: Annotated[Path, typer.Argument(help="A new directory.")],
    repository: _Repository,
    password_file: _PasswordFile = None,
) -> None:
    """Such a directory back."""
    from runtime.backups.of_panel import get

    password = _password(password_file)
    _print(get(_node(), _repository(repository), password, backup, to))


@cli.command()
def told() -> None:
    """What this node was told of each environment, as JSON, with all secrets: for a panel that knows less."""
    from runtime.told import told as all_of

    print(all_of(_node()).model_dump_json())


@cli.command()
def reconcile() -> None:
    """Compares what is wanted with the kernel and mends what drifted."""
    from runtime.engine import Engine

    for environment_id, why in Engine(_node()).reconcile().items():
        print(f"mended {environment_id}: {why}")


@cli.command()
def facts() -> None:
    """What this node is and has, as JSON."""
    from runtime.facts import collect

    print(collect(_node()).model_dump_json(indent=2))


@cli.command()
def purge() -> None:
    """Deletes every environment of this node and every trace of the node on the host. HOME stays."""
    from runtime.prepare import dismantle
    from runtime.purge import delete_all

    try:
        node = Node.load(_home)
    except FileNotFoundError:
        print("there is no node here")
        return
    delete_all(node, say=print)
    dismantle(node)
    print("the node is gone")


def main() -> None:
    try:
        cli()
    except RuntimeFault as fault:
        print(f"wadah node: {fault}", file=sys.stderr)
        if fault.next_step:
            print(fault.next_step, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
