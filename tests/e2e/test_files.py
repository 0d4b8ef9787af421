"""Files of an environment by the API: written, read, packed and deleted while it runs."""

import io
import tarfile
import urllib.request

from tests.e2e.support import Installation


def _bytes(wadah: Installation, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    headers = {"Authorization": f"Bearer {wadah.token}", "Content-Type": "application/octet-stream"}
    request = urllib.request.Request(f"{wadah.url}/api/v1{path}", data=body, method=method, headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.status, answer.read()


def test_written_read_packed_and_deleted_while_it_runs(wadah: Installation, environment: str) -> None:
    at = f"/environments/{environment}/files"
    text = bytes(range(256)) * 4000
    assert _bytes(wadah, "PUT", f"{at}/content?path=/root/new", text)[0] == 200
    assert wadah.sh(environment, "stat -c '%u %g %a %s' /root/new; wc -c < /root/new").split() == [
        *("0", "0", "644", "1024000"),
        "1024000",
    ]
    assert _bytes(wadah, "GET", f"{at}/content?path=/root/new") == (200, text)
    names = [one["name"] for one in wadah.call("GET", f"{at}?path=/root").body["items"]]
    assert "new" in names
    status, packed = _bytes(wadah, "GET", f"{at}/archive?path=/root")
    assert status == 200
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert archive.getmember("root/new").size == len(text)
    assert wadah.call("DELETE", f"{at}/content?path=/root/new").status == 204
    assert "new" not in wadah.sh(environment, "ls /root")
    assert wadah.call("GET", f"{at}/archive?path=/nowhere").status == 404
    wadah.sh(environment, "mkdir /root/full; touch /root/full/one; ln -s / /root/out")
    refused = wadah.call("DELETE", f"{at}/content?path=/root/full")
    assert (refused.status, refused.body["code"]) == (422, "not_empty")
    assert wadah.call("DELETE", f"{at}/content?path=/root/out/etc/hosts").status == 404
    assert wadah.call("DELETE", f"{at}/content?path=/root/full&recursive=true").status == 204
