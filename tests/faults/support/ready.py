"""What every fault test needs of an installation."""

from tests.e2e.support import Installation


def ready(made: Installation) -> None:
    """Its tenant `demo`, and the image that everything here is made from."""
    quota = {"environments": 500, "cpu": 500, "memory_mb": 200_000, "disk_mb": 500_000}
    answer = made.call("POST", "/tenants", {"name": "Demo", "slug": "demo", "quota": quota})
    assert answer.status in (201, 409), answer.body
    made.wait(lambda: any(one["name"] == "busybox" for one in made.call("GET", "/images").body["items"]), 30)
