"""What is said of jobs."""

from runtime.contract.said import says


@says("work on its environment did not end within %(seconds)s s")
def environment_busy(seconds: float) -> None: ...
@says("the job was cancelled")
def cancelled() -> None: ...
@says("this node does no jobs of the kind %(kind)s")
def not_offered(kind: str) -> None: ...
