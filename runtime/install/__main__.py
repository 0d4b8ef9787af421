"""./wadah: the commands."""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from runtime.install import home_check
from runtime.install.front import Front
from runtime.install.host import KERNEL_PACKAGES
from runtime.install.layout import Layout
from runtime.install.output import Stop, line, plain, problem


def _up(options: argparse.Namespace) -> int:
    from runtime.install.front import Wish  # noqa: PLC0415
    from runtime.install.up import up  # noqa: PLC0415

    said = (
        options.port,
        options.domain,
        options.listen,
        options.local,
        options.url,
        options.name,
        options.proxy,
        options.domains,
        options.domains_ports,
        options.ssh,
    )
    up(
        Layout.of(options.home),
        detach=options.detach,
        wish=Wish(*said),
        demo=not options.no_demo,
        node_netns=options.node_netns or os.environ.get("WADAH_NODE_NETNS"),
        images=options.images,
        networks=(options.ipv4_network, options.ipv6_network),
        pool=(options.pool_device, options.pool_preallocate),
        kernels=_kernels(options.kernels),
    )
    return 0


def _kernels(words: list[str]) -> set[str]:
    """Raises `Stop` for one that there isn't."""
    named = {one for word in words for one in word.split(",") if one}
    unknown = sorted(named - set(KERNEL_PACKAGES))
    if unknown:
        raise Stop(f"there is no kernel {unknown[0]}; there are: {', '.join(KERNEL_PACKAGES)}")
    return named


def _down(options: argparse.Namespace) -> int:
    from runtime.install.up import stop_processes  # noqa: PLC0415

    layout = Layout.of(options.home)
    _need_root("down --purge" if options.purge else "down")
    if layout.home.exists() and not home_check.is_installation(layout):
        raise Stop(f"{layout.home} holds no installation of Wadah; it is left as it is")
    with home_check.alone(layout):
        stopped = stop_processes(layout)
        going_on = "" if options.purge else "; environments go on running"
        line(f"processes stopped{going_on}" if stopped else "no process was running")
        if options.purge:
            _purge(layout)
    return 0


def _purge(layout: Layout) -> None:
    """With every environment. Raises `Stop` where the node's can't be taken away."""
    from runtime.install import connection_limits  # noqa: PLC0415
    from runtime.install.host import run  # noqa: PLC0415

    connection_limits.unbind(layout)  # of a supervisor that was killed

    if (layout.home / "node" / "node.json").exists() and Path(layout.python).exists():
        said = run(
            [layout.python, "-m", "runtime.cli", "--home", str(layout.home), "purge"],
            timeout_s=600,
            environment={**os.environ, "PYTHONPATH": str(layout.app)},
            cwd=layout.app,
        )
        for one in said.strip().splitlines():
            line(one)
    elif (layout.home / "node" / "node.json").exists():
        raise Stop(
            f"the Python environment in {layout.home} is gone, which takes environments away",
            "Run `./wadah up` with the same --home first, then this again.",
        )
    line(f"{layout.home} deleted" if home_check.delete(layout) else f"there is nothing in {layout.home}")
    home_check.forget_lock(layout)


def _status(options: argparse.Namespace) -> int:
    layout = Layout.of(options.home)
    processes = status(layout)
    if options.json:
        plain(json.dumps({"processes": processes}))
    else:
        for one in processes:
            plain(f"{one['role']:13} {one['state']:9} {one['pid'] or '-'}")
        if not processes:
            plain("nothing runs here")
    return 0 if processes and all(one["state"] == "running" for one in processes) else 1


def status(layout: Layout) -> list[dict[str, object]]:
    """Each process of ours with its state, as the kernel shows it now."""
    from runtime.install.supervisor import parent_of, running_pid  # noqa: PLC0415

    try:
        document = json.loads(layout.processes_file.read_text())
    except PermissionError as error:
        raise Stop("status needs root", "sudo ./wadah status") from error
    except (OSError, ValueError):
        return []
    supervisor = running_pid(layout)
    found: list[dict[str, object]] = []
    for one in document["processes"]:
        alive = supervisor is not None and parent_of(one["pid"]) == supervisor
        state = "running" if alive else "stopped" if supervisor is None else "restarting"
        found.append(
            {
                "role": one["role"],
                "pid": one["pid"] if alive else None,
                "state": state,
                "starts": one["starts"],
            }
        )
    return found


def _supervise(options: argparse.Namespace) -> int:
    from runtime.install.supervisor import Supervisor  # noqa: PLC0415

    Supervisor(Layout.of(options.home), Front.of(json.loads(options.front))).run()
    return 0


def _role(options: argparse.Namespace) -> int:
    from runtime.install import restoring  # noqa: PLC0415
    from runtime.install.front import front_of  # noqa: PLC0415
    from runtime.install.roles import run_one  # noqa: PLC0415
    from runtime.install.supervisor import Supervisor  # noqa: PLC0415

    layout = Layout.of(options.home)
    if not layout.venv.exists():
        raise Stop(f"there is no installation in {layout.home}", "Run `./wadah up` first, or give --home.")
    restoring.refuse(layout)
    if len(options.names) == 1:
        run_one(options.names[0], layout, front_of(layout))
    Supervisor(layout, front_of(layout), options.names).run()
    return 0


def _units(options: argparse.Namespace) -> int:
    from runtime.install.front import front_of  # noqa: PLC0415
    from runtime.install.units import write_units  # noqa: PLC0415

    directory = Path(options.directory)
    if not directory.is_dir():
        raise Stop(f"{directory} is not a directory")
    layout = Layout.of(options.home)
    for file in write_units(layout, front_of(layout), directory):
        line(str(file))
    return 0


def _packages(options: argparse.Namespace) -> int:
    from runtime.install.host import NODE_PACKAGES, PANEL_PACKAGES, TEST_PACKAGES  # noqa: PLC0415

    wanted = {**NODE_PACKAGES, **PANEL_PACKAGES, **(TEST_PACKAGES if options.test else {})}
    plain("\n".join(sorted(set(wanted.values()))))
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from runtime.install.doctor import examine  # noqa: PLC0415

    checks = list(examine(Layout.of(options.home)))
    for check in checks:
        mark = {"ok": "✓", "weak": "!", "missing": "✗"}[check.level]
        plain(f" {mark} {check.name}: {check.found}")
        if check.level != "ok":
            for sentence in check.why.splitlines():
                plain(f"     {sentence}")
            if check.remedy:
                plain(f"     → {check.remedy}")
    missing = sum(check.level == "missing" for check in checks)
    weak = sum(check.level == "weak" for check in checks)
    plain()
    if missing:
        plain(f"{missing} missing: Wadah can't run here as it should")
    else:
        plain("Wadah can run here" + (f"; {weak} could be better" if weak else ""))
    return 1 if missing else 0


def _harden(options: argparse.Namespace) -> int:
    from runtime.install.harden import harden  # noqa: PLC0415

    return harden(dry_run=options.dry_run)


def _node(options: argparse.Namespace) -> int:
    arguments, home = list(options.arguments), options.home
    if "--home" in arguments[:-1]:  # people write it behind the verb
        at = arguments.index("--home")
        home = arguments[at + 1]
        del arguments[at : at + 2]
    layout = Layout.of(home)
    _need_root(options.verb)
    if not Path(layout.python).exists():
        raise Stop(f"there is no installation in {layout.home}", "Run `./wadah up` first, or give --home.")
    environment = {**os.environ, "PYTHONPATH": str(layout.app)}
    os.chdir(layout.app)
    if options.verb == "backup" and arguments[:1] == ["panel"]:
        from runtime.install.panel_backup import panel_backup  # noqa: PLC0415

        return panel_backup(layout, arguments[1:])
    if options.verb == "backup":
        arguments = ["backup", *(arguments or ["--help"])]
    words = [layout.python, "-m", "runtime.cli", "--home", str(layout.home), *(arguments or ["--help"])]
    os.execve(layout.python, words, environment)  # noqa: S606


def _test(options: argparse.Namespace) -> int:
    from runtime.install.testing import run_tests  # noqa: PLC0415

    return run_tests(_unguarded(options.arguments))


def _check(options: argparse.Namespace) -> int:
    from runtime.install.testing import run_check  # noqa: PLC0415

    return run_check(fix=options.fix)


def _dev(options: argparse.Namespace) -> int:
    from runtime.install.dev import PORT, dev  # noqa: PLC0415
    from runtime.install.layout import CHECKOUT  # noqa: PLC0415

    called_from = Path(os.environ.pop("WADAH_FROM", "."))
    home = (called_from / options.home).resolve() if options.home else CHECKOUT / ".dev"
    return dev(home, port=options.port or PORT, reset=options.reset)


def _bench(options: argparse.Namespace) -> int:
    from runtime.install.testing import run_bench  # noqa: PLC0415

    return run_bench(_unguarded(options.arguments))


def _rotate(options: argparse.Namespace) -> int:
    from runtime.install.rotate import PARTS, rotate  # noqa: PLC0415

    rotate(Layout.of(options.home), tuple(options.only or PARTS), options.window_hours)
    return 0


def _need_root(verb: str) -> None:
    if os.geteuid() != 0:
        raise Stop(f"`{verb}` needs root", f"sudo ./wadah {verb}")


def _of_further_fronts(start: argparse.ArgumentParser) -> None:
    start.add_argument(
        "--domains",
        action="append",
        metavar="ADDRESS,…",
        help="serve tenants' domains on these addresses, or on `all` (none: no longer)",
    )
    start.add_argument("--domains-ports", metavar="HTTP,HTTPS", help="of tenants' domains (80,443)")
    start.add_argument(
        "--ssh", metavar="[ADDRESS:]PORT", help="SSH gateway there, on loopback without an address (none: off)"
    )


def _of_the_pool(start: argparse.ArgumentParser) -> None:
    start.add_argument(
        "--pool-device",
        metavar="DEVICE",
        default="",
        help="a block device for a new node's disk pool, with nothing on it, in place of a file below HOME",
    )
    start.add_argument(
        "--pool-preallocate",
        action="store_true",
        help="write the pool's file whole at once: syncs are faster, and its size is gone from the disk",
    )


def _what_is_offered(start: argparse.ArgumentParser) -> None:
    _of_the_pool(start)
    start.add_argument("--images", metavar="NAME,…", help="only build these images at once")
    start.add_argument(
        "--kernels",
        action="append",
        metavar="NAME,…",
        default=[],
        help="install what further kernels of environments need: own (User-Mode Linux), guarded (gVisor)",
    )


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="./wadah", description="Turns Linux machines into a hosting service.")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="COMMAND")

    def verb(name: str, act: object, words: str, *, home: bool = True) -> argparse.ArgumentParser:
        one = verbs.add_parser(name, help=words, description=words)
        if home:
            one.add_argument("--home", help="state of the installation (WADAH_HOME; /var/lib/wadah)")
        one.set_defaults(act=act)
        return one

    start = verb("up", _up, "install what is missing and start everything")
    start.add_argument("--detach", action="store_true", help="go on in the background")
    start.add_argument("--port", type=int, help="port of the panel (8080)")
    start.add_argument("--no-demo", action="store_true", help="make no demo tenant and environment")
    start.add_argument("--domain", help="public name: TLS by itself on port 443")
    start.add_argument("--listen", metavar="ADDRESS", help="listen there with a self-signed certificate")
    start.add_argument("--local", action="store_true", help="listen on loopback again, without TLS")
    start.add_argument(
        "--url", metavar="URL", help="address that browsers use, behind a proxy (none: no longer)"
    )
    start.add_argument(
        "--name", action="append", metavar="NAME,…", help="further names to answer to (none: no longer)"
    )
    start.add_argument(
        "--proxy",
        action="append",
        metavar="ADDRESS,…",
        help="proxies, by address or network, that say who the client is (none: no longer)",
    )
    _of_further_fronts(start)
    for family in ("ipv4", "ipv6"):
        words = "of a new node's environments (a free one is drawn)"
        start.add_argument(f"--{family}-network", metavar="NETWORK", default="", help=words)
    start.add_argument("--node-netns", help=argparse.SUPPRESS)
    _what_is_offered(start)
    stop = verb("down", _down, "stop the panel's processes; environments go on running")
    stop.add_argument("--purge", action="store_true", help="delete every environment and every trace")
    seen = verb("status", _status, "which process runs")
    seen.add_argument("--json", action="store_true")
    verb("doctor", _doctor, "what this machine has and lacks, and what mends it")
    hard = verb("harden", _harden, "set the host-wide sysctls that a hosting machine should have", home=False)
    hard.add_argument("--dry-run", action="store_true", help="only show them")
    for name, act, words in (
        ("node", _node, "the node's own command line: list, inspect, enter, logs, leaks"),
        (
            "backup",
            _node,
            "backups with repository and password alone: list, about, restore, panel",
        ),
        ("test", _test, "run every test (or pytest with these arguments)"),
        ("bench", _bench, "measure"),
    ):
        one = verb(name, act, words, home=name in ("node", "backup"))
        one.add_argument("arguments", nargs=argparse.REMAINDER)
    looked = verb("check", _check, "look at the code: types, style, imports, migrations, scripts", home=False)
    looked.add_argument("--fix", action="store_true", help="mend what can be mended by itself first")
    shown = verb("dev", _dev, "show the panel with a node on paper, while it is being changed", home=False)
    shown.add_argument("--port", type=int, help="port of the panel (8000)")
    shown.add_argument("--reset", action="store_true", help="forget what was made here, and begin anew")
    shown.add_argument("--home", metavar="DIR", help="state, in place of .dev in the checkout")
    anew = verb("rotate", _rotate, "exchange every key and password of the installation for new ones")
    anew.add_argument("--only", action="append", choices=("panel", "node", "redis", "certificate"))
    anew.add_argument(
        "--window-hours",
        type=float,
        default=168.0,
        metavar="N",
        help="how long sessions and invitations signed by the old key are good (168; 0: not at all)",
    )
    one = verb(
        "role", _role, "run one process of an installation in the foreground (several: under supervision)"
    )
    one.add_argument("names", nargs="+", metavar="ROLE")
    unit = verb("units", _units, "write systemd units for this installation into a directory")
    unit.add_argument("directory", nargs="?", default="/etc/systemd/system")
    listed = verb("packages", _packages, "print the Debian packages that `up` installs", home=False)
    listed.add_argument("--test", action="store_true", help="with those of `test`")
    hidden = verbs.add_parser("supervise")
    hidden.add_argument("home")
    hidden.add_argument("front")
    hidden.set_defaults(act=_supervise)
    return top


def _guarded(words: list[str]) -> list[str]:
    """argparse keeps options that come first from REMAINDER; `--` in front of them hands all of them on."""
    if words[:1] and words[0] in ("test", "bench") and words[1:] and words[1] not in ("-h", "--help", "--"):
        return [words[0], "--", *words[1:]]
    return words


def _unguarded(words: list[str]) -> list[str]:
    """What `_guarded` put in front is not the other program's."""
    return words[1:] if words[:1] == ["--"] else words


def main() -> int:
    options = parser().parse_args(_guarded(sys.argv[1:]))
    began = time.monotonic()
    try:
        return int(options.act(options))
    except Stop as stop:
        problem(str(stop))
        if stop.remedy:
            problem(f"→ {stop.remedy}")
        return 1
    except KeyboardInterrupt:
        problem(f"interrupted after {time.monotonic() - began:.0f} s")
        return 130


if __name__ == "__main__":
    sys.exit(main())
