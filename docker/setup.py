"""What `./wadah up` does before it starts processes, for the volumes of docker-compose.dev.yml. Idempotent."""

from pathlib import Path

from runtime.install.caddyfile import Site, Upstreams, caddyfile
from runtime.install.files import put
from runtime.install.front import front_of
from runtime.install.host import ids
from runtime.install.layout import CHECKOUT, Layout
from runtime.install.output import line, plain
from runtime.install.panel import bootstrap, manage
from runtime.install.redis_config import write_redis
from runtime.install.up import vendor

#: The services of docker-compose.dev.yml; a development server has as many threads as requests.
UPSTREAMS = Upstreams(web="web:8000", uploads="web:8000", ws="ws:8001")


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
    write_redis(layout)
    text = caddyfile(Site(("http://:8080",)), UPSTREAMS, https=False)
    put(layout.etc / "Caddyfile", text, mode=0o640, owner=(0, ids()[1]))
    manage(layout, front, "prepare")
    line("database")
    admin = bootstrap(layout, front)
    plain(f"Open {front.url} and sign in as {admin['username']} / {admin['password']}")


if __name__ == "__main__":
    main()
