"""Counting refusals: after the transaction that was refused is rolled back."""

from panel.errors import QuotaExceeded
from panel.quotas import services as quotas


class counting_refusals:
    """Around a transaction: counts a quota's refusal after what is inside was rolled back."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, QuotaExceeded):
            quotas.count_hit(error)
