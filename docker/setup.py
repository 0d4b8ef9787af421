"""What `./wadah up` does before it starts processes, for the volumes of docker-compose.dev.yml. Idempotent."""

from pathlib import Path

from runtime.install.front import front_of
from runtime.install.layout import CHECKOUT, Layout
from runtime.install.panel import bootstrap, manage
from runtime.install.roles import write_configuration
from runtime.install.say import line, plain
from runtime.install.up import vendor


def _link(path: Path, target: Path) -> None:
    if not path.is_symlink():
        path.symlink_to(target)


def main() -> None:
    layout = Layout.of(None)
    layout.make()
    _link(layout.venv, Path("/opt/wadah/venv"))
    _link(layout.app, CHECKOUT)
    front = front_of(layout)
    vendor(layout)
    line("web files")
    write_configuration(layout, front)
    manage(layout, front, "prepare")
    line("database")
    admin = bootstrap(layout, front)
    plain(f"Open {front.url} and sign in as {admin['username']} / {admin['password']}")


if __name__ == "__main__":
    main()
