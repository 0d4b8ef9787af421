"""What a person does who has just read what `up` said: visitor.py URL NAME PASSWORD HOME.

Runs in the bare machine, with nothing but the standard library. Ends with 0 when all of it went well.
"""

import http.cookiejar
import json
import re
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path


def main(url: str, name: str, password: str, home: str) -> None:
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    sign_in = f"{url}/accounts/login/"
    page = browser.open(sign_in, timeout=60).read().decode()
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found, page[:2000]
    form = {"csrfmiddlewaretoken": found[1], "login": name, "password": password}
    asked = urllib.request.Request(sign_in, urllib.parse.urlencode(form).encode(), {"Referer": sign_in})
    answer = browser.open(asked, timeout=60)
    page = answer.read().decode()
    assert "/accounts/login" not in answer.url, f"not signed in: {page[:2000]}"
    page = browser.open(f"{url}/environments/", timeout=60).read().decode()
    assert "hello" in page, "the demo environment isn't in the list"

    token = json.loads((Path(home) / "admin.json").read_text())["token"]
    limits = {"cpu": 1, "memory_mb": 64, "disk_mb": 128}
    wanted = {"name": "first", "image": "busybox", "tenant": "demo", "limits": limits}
    made = call(url, token, "/environments", wanted)
    until = time.monotonic() + 120
    while (seen := call(url, token, f"/environments/{made['id']}"))["state"] != "running":
        assert time.monotonic() < until, f"not running: {seen}"
        time.sleep(0.2)
    said = call(url, token, f"/environments/{made['id']}/exec", {"command": ["cat", "/etc/hostname"]})
    assert said["stdout"].strip() == "first", said
    states = {one["name"]: one["state"] for one in call(url, token, "/environments")["items"]}
    assert states == {"hello": "running", "first": "running"}, states


def call(url, token, path, body=None):
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/api/v1{path}", data, headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


main(*sys.argv[1:])
