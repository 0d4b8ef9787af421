"""Docker, Podman and LXC of Debian run containers inside an environment with `nesting`, as they are installed.

Their images are made there, of one program: no registry is asked.
"""

import pytest

from tests.packages.conftest import Make
from tests.packages.system import System

IMAGE = (
    "mkdir -p /srv/image/bin /srv/image/tmp; cp /bin/busybox /srv/image/bin/; "
    "for one in sh cat echo id ip mount sleep touch wget; do ln -sf busybox /srv/image/bin/$one; done; "
    "tar -C /srv/image -cf /srv/image.tar ."
)
#: What a container says of itself.
SAYS = "/bin/sh -c 'echo in $(id -u); ip -4 -o addr show; cat /proc/1/cmdline'"


@pytest.fixture(scope="module")
def nested(make: Make) -> System:
    system = make(
        limits={"cpu": 2, "memory_mb": 2048, "disk_mb": 8192},
        security={"nesting": True, "firewall": True},
        devices=["/dev/net/tun", "/dev/fuse"],
    )
    code, said = system.install("busybox-static curl iproute2")
    assert code == 0, said
    system.sh(IMAGE)
    system.sh("useradd -m -s /bin/bash budi && loginctl enable-linger budi")
    return system


def as_budi(script: str) -> str:
    """A script in a session of an ordinary user, as `ssh budi@…` gives him."""
    return f"runuser -l budi -c 'export XDG_RUNTIME_DIR=/run/user/$(id -u); {script}'"


@pytest.fixture(scope="module")
def docker(nested: System) -> System:
    code, said = nested.install("docker.io")
    assert code == 0, said
    nested.sh("docker import /srv/image.tar tiny:1", 120)
    return nested


@pytest.fixture(scope="module")
def podman(nested: System) -> System:
    code, said = nested.install("podman crun")
    assert code == 0, said
    nested.sh("podman import -q /srv/image.tar tiny:1", 120)
    return nested


def test_docker_runs_a_container_as_it_is_installed(docker: System) -> None:
    said = docker.sh(f"docker run --rm tiny:1 {SAYS}", 120)
    assert said.startswith("in 0")
    assert "172.17.0." in said
    assert docker.sh("docker info -f '{{.Driver}} {{.CgroupVersion}}'") == "overlay2 2"


def test_docker_keeps_what_a_container_wrote_and_layers_upon_it(docker: System) -> None:
    docker.sh("docker run --name wrote tiny:1 /bin/sh -c 'echo kept > /kept'", 120)
    docker.sh("docker commit wrote tiny:2 && docker rm wrote", 120)
    assert docker.sh("docker run --rm tiny:2 /bin/cat /kept", 120) == "kept"


def test_docker_publishes_a_port_and_shares_a_directory(docker: System) -> None:
    docker.sh("mkdir -p /srv/www && echo shared > /srv/www/a")
    serves = "/bin/busybox httpd -f -p 80 -h /www"
    docker.sh(f"docker run -d --name web -p 8000:80 -v /srv/www:/www:ro tiny:1 {serves}", 120)
    try:
        assert docker.sh("curl -fsS --retry 9 --retry-connrefused http://127.0.0.1:8000/a") == "shared"
    finally:
        docker.sh("docker rm -f web", 60)


def test_containers_of_docker_are_back_after_a_reboot(docker: System) -> None:
    docker.sh("docker run -d --restart always --name stays tiny:1 /bin/sleep 9999", 120)
    docker.reboot()
    up = "for i in $(seq 60); do docker exec stays /bin/echo up && exit 0; sleep 1; done; exit 1"
    assert docker.sh(up, 120).endswith("up")
    docker.sh("docker rm -f stays", 60)


def test_podman_of_root_runs_a_container(podman: System) -> None:
    assert podman.sh(f"podman run --rm tiny:1 {SAYS}", 120).startswith("in 0")
    assert podman.sh("podman info -f '{{.Store.GraphDriverName}}'") == "overlay"


@pytest.mark.parametrize("driver", ["", "overlay"], ids=["its own choice of storage", "overlay"])
def test_podman_of_an_ordinary_user_runs_a_container(podman: System, driver: str) -> None:
    storage = f"export STORAGE_DRIVER={driver}; podman system reset -f; " if driver else ""
    podman.sh(as_budi(f"{storage}podman import -q /srv/image.tar tiny:1"), 120)
    said = podman.sh(as_budi('podman run --rm tiny:1 /bin/sh -c "id -u; cat /proc/self/uid_map"'), 120)
    # what Podman itself says comes after it
    assert said.split()[:7] == ["0", "0", "1000", "1", "1", "10000", "9000"], "within the environment's ids"


def test_lxc_runs_a_container_with_an_address(nested: System) -> None:
    code, said = nested.install("lxc")
    assert code == 0, said
    nested.sh("systemctl is-active lxc-net; ip addr show lxcbr0 | grep -q 10.0.3.1")
    nested.sh(
        "mkdir -p /var/lib/lxc/c1/rootfs && cd /var/lib/lxc/c1/rootfs && mkdir -p proc sys dev etc tmp "
        "&& cp -a /srv/image/bin . && printf '%s\\n' 'lxc.include = /usr/share/lxc/config/common.conf' "
        "'lxc.rootfs.path = dir:/var/lib/lxc/c1/rootfs' 'lxc.uts.name = c1' 'lxc.net.0.type = veth' "
        "'lxc.net.0.link = lxcbr0' 'lxc.net.0.flags = up' 'lxc.net.0.ipv4.address = 10.0.3.9/24' "
        "'lxc.init.cmd = /bin/sleep 9999' > ../config"
    )
    nested.sh("lxc-start -n c1", 60)
    try:
        said = nested.sh("lxc-attach -n c1 -- /bin/sh -c 'id -u; ip -4 -o addr show eth0'")
        assert said.startswith("0")
        assert "10.0.3.9" in said
        nested.sh("ping -c 1 -W 5 10.0.3.9")
    finally:
        nested.sh("lxc-stop -k -n c1", 60)


def test_without_the_options_the_kernels_own_error_says_what_is_missing(make: Make) -> None:
    system = make()
    code, said = system.install("iptables")
    assert code == 0, said
    for asked in ("unshare -U true", "iptables -L"):
        code, said = system.run(asked)
        assert code != 0, asked
        assert "Operation not permitted" in said, asked
