"""Health of apps: what a check saw, and what follows."""

from runtime.contract.said import says


@says("unhealthy: %(count)s checks in a row failed, the last with “%(output)s”")
def unhealthy(count: int, output: str) -> None: ...
@says("The app is unhealthy and was ended; starts again in %(seconds)s s.")
def started_anew(seconds: float) -> None: ...
