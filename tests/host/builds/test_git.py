"""A context from a Git repository: branch, folder, submodules, a token; and what is refused."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from runtime.builds.places import BuildPlaces
from runtime.contract import JobOutcome, JobReport
from runtime.node import Node
from tests.host.backups.servers import Sshd, sshd_in
from tests.host.builds.conftest import Build
from tests.support.git import commit, serving
from tests.support.ports import free_port
from tests.support.registry import Hub

Log = Callable[[JobReport], str]
_PAIR = "git:of-the-test"


@pytest.fixture(scope="module")
def server(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    place = tmp_path_factory.mktemp("git")
    with serving(place, free_port(), ["nsenter", f"--net={node.host_network}"], _PAIR) as url:
        yield url, place


def _files(hub: Hub) -> dict[str, str]:
    return {
        "app/Dockerfile": f"FROM {hub.host}/lib/base:1\nCOPY told /told\nRUN cat /told\n",
        "app/told": "of main",
    }


def test_branch_folder_and_token(build: Build, hub: Hub, server: tuple[str, Path], log_of: Log) -> None:
    url, place = server
    commit(place / "one", _files(hub))
    wanted = commit(place / "one", {"app/told": "newest"})
    git = {"url": f"{url}/one/.git", "branch": "main", "inward": True, "insecure": True, "submodules": True}
    report = build(git=git, folder="app", secrets={"token": "of-the-test"})
    log = log_of(report)
    assert report.outcome is JobOutcome.SUCCEEDED, f"{report.message.told()}\n{log}"
    assert report.built is not None
    assert report.built.commit == wanted
    assert "newest" in log
    assert "of-the-test" not in log
    for fields, code in (
        ({"git": {**git, "branch": "no-such"}}, "git_failed"),
        ({"git": {**git, "inward": False}}, "git_inward"),
        ({"git": git, "folder": "nowhere"}, "no_folder"),
        ({"git": git, "folder": "app", "dockerfile": "told2"}, "no_dockerfile"),
    ):
        secrets = {"token": "of-the-test"}
        refused = build(**{"folder": "app", "secrets": secrets, **fields})
        assert (refused.outcome, refused.code) == (JobOutcome.FAILED, code), log_of(refused)
    wrong = build(git=git, folder="app", secrets={"token": "another-one"})
    assert wrong.code == "git_failed"
    assert "another-one" not in log_of(wrong)


def test_what_a_repository_says_leads_nowhere(
    build: Build, hub: Hub, server: tuple[str, Path], log_of: Log
) -> None:
    """Links out of the context, and submodules that name files of the machine."""
    url, place = server
    repository = place / "two"
    commit(repository, _files(hub))
    (repository / "out").symlink_to("/etc")
    (repository / "Dockerfile").symlink_to("/etc/passwd")
    (repository / ".gitmodules").write_text('[submodule "x"]\n\tpath = x\n\turl = file:///etc\n')
    commit(repository, {})
    git = {"url": f"{url}/two/.git", "branch": "main", "inward": True, "insecure": True}
    secrets = {"token": "of-the-test"}
    assert build(git=git, secrets=secrets).code == "leads_out"
    assert build(git=git, folder="out", secrets=secrets).code == "leads_out"


@pytest.fixture(scope="module")
def sshd(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd_in(node, tmp_path_factory.mktemp("sshd") / "home") as one:
        yield one


def test_a_deploy_key_by_ssh(build: Build, hub: Hub, sshd: Sshd, log_of: Log, node: Node, source: UUID) -> None:
    """Git over a real sshd: the key alone opens it, and another server in its place doesn't."""
    repository = sshd.home / "three"
    commit(repository, _files(hub))
    url = f"ssh://root@127.0.0.1:{sshd.port}{repository}/.git"
    git = {"url": url, "branch": "main", "inward": True}
    secrets = {"deploy_key": sshd.login.private_key}
    report = build(git=git, folder="app", secrets=dict(secrets))
    assert report.outcome is JobOutcome.SUCCEEDED, f"{report.message.told()}\n{log_of(report)}"
    assert report.built is not None
    assert len(report.built.commit) == 40
    assert sshd.login.private_key.splitlines()[1] not in log_of(report)
    assert sshd.host_key.split()[1] in BuildPlaces(node, source).known_hosts.read_text()
    assert build(git=git, folder="app").code == "git_failed", "without the key"
    sshd.stop()
    sshd.new_host_key()
    sshd.start()
    changed = build(git=git, folder="app", secrets=dict(secrets))
    assert changed.code == "git_failed"
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in log_of(changed)
    pinned = build(git={**git, "host_key": sshd.host_key}, folder="app", secrets=dict(secrets))
    assert pinned.outcome is JobOutcome.SUCCEEDED, log_of(pinned)
