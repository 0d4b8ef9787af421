"""What an image is called, as `docker pull` reads it."""

import pytest
from pydantic import ValidationError

from runtime.contract import AppOptions, Reference
from runtime.images.oci import skopeo_program

DIGEST = "sha256:" + "a1" * 32


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("grafana/grafana", "docker.io/grafana/grafana:latest"),
        ("ghcr.io/a/b/c:v1", "ghcr.io/a/b/c:v1"),
        ("localhost/a", "localhost/a:latest"),
        ("host:5000/a/b", "host:5000/a/b:latest"),
        ("Example.COM/a__b/c-d:T_1", "example.com/a__b/c-d:T_1"),
        (f"quay.io/a/b@{DIGEST}", f"quay.io/a/b@{DIGEST}"),
        (f"quay.io/a/b:1@{DIGEST}", f"quay.io/a/b:1@{DIGEST}"),
        ("[::1]:5000/a:1", "[::1]:5000/a:1"),
        ("127.0.0.1:5000/a", "127.0.0.1:5000/a:latest"),
    ],
)
def test_names(text: str, whole: str) -> None:
    assert str(Reference.parse(text)) == whole
    assert AppOptions(image=text).image == whole


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "/", "a b", "NGINX", "a//b", "-a", "a/../b", "a:b:c", "a@sha256:zz", "a@", f"a@{DIGEST}x"),
        *(
            "http://a.b/c",
            "a.b:99999/c",
            "a.b:/c",
            "a:" + "t" * 129,
            "x" * 500,
            "host.name/",
            "a.b/c --x",
            "ü/a",
        ),
        *("--src-creds=x", "a.b/c\n", "a.b/c:1\x00", "oci:/etc", "dir:/", "$(id)/a", "-x.y/a"),
    ],
)
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(ValueError):
        Reference.parse(text)
    with pytest.raises(ValidationError):
        AppOptions(image=text)


def test_a_password_is_in_no_representation() -> None:
    app = AppOptions.model_validate({"image": "a", "registry": {"username": "u", "password": "secret-word"}})
    assert "secret-word" not in repr(app)


def test_a_list_of_no_image_is_no_image_for_another_platform() -> None:
    """“The image is for , and this node is linux/amd64.”"""
    for images in ([], [{"platform": {"os": "unknown", "architecture": "unknown"}}]):
        with pytest.raises(skopeo_program.Refused, match="odd_manifest"):
            skopeo_program.of_platform({"manifests": images}, {"architecture": "amd64"})
