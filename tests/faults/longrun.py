"""`./wadah bench faults --runs N`: N faults drawn at random into an installation, and what became of them."""

import contextlib
import json
import os
import signal
import statistics
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.e2e.support import installation, ready, standing
from tests.faults.support.chaos import Chaos, Outcome
from tests.faults.support.stack import Stack, stack


def run(*, runs: int, seed: int, home: Path | None = None, as_json: bool = False) -> int:
    """Prints as it goes and a summary at the end; 0 when nothing was lost, leaked or stuck.

    `lost`: accepted, and then neither done nor failed with a cause. `leaked`: objects that nobody wants.
    `stuck`: open after a minute. `wrong`: anything else that doesn't add up.
    """
    with contextlib.ExitStack() as undo:
        made = standing(home) if home else undo.enter_context(installation("--no-demo", "--images", "busybox"))
        ready(made)
        whole = undo.enter_context(stack(made))
        outcomes = _strike(whole, runs, seed, quiet=as_json)
    summary = summed(outcomes)
    print(json.dumps(summary, indent=1) if as_json else _spoken(summary))
    return int(bool(summary["lost"] or summary["leaked"] or summary["stuck"] or summary["wrong"]))


def _strike(whole: Stack, runs: int, seed: int, *, quiet: bool) -> list[Outcome]:
    outcomes: list[Outcome] = []
    chaos = Chaos(whole, seed)
    for number in (signal.SIGINT, signal.SIGTERM):  # a run in the background would not hear of the first
        signal.signal(number, signal.default_int_handler)
    began = time.monotonic()
    try:
        for number in range(1, runs + 1):
            outcome = chaos.run()
            outcomes.append(outcome)
            bad = outcome.wrong or outcome.state != "succeeded"
            if not quiet and (bad or number % 25 == 0):
                took = time.monotonic() - began
                line = (
                    f"{number}/{runs} after {took:.0f} s: {outcome.operation}, {outcome.fault}: {outcome.state}"
                )
                print(" ".join([line, outcome.code, *outcome.wrong]), flush=True)
    except KeyboardInterrupt:
        print(f"stopped after {len(outcomes)} runs")
    finally:
        chaos.close()
    return outcomes


def summed(outcomes: list[Outcome]) -> dict[str, Any]:
    times = sorted(one.recovered_s for one in outcomes) or [0.0]
    return {
        "load": os.getloadavg()[0],
        "injected": len(outcomes),
        "lost": sum(one.state == "lost" for one in outcomes),
        "leaked": sum(one.leaks for one in outcomes),
        "stuck": sum(one.is_stuck for one in outcomes),
        "wrong": sum(len(one.wrong) - one.leaks for one in outcomes),
        "succeeded": sum(one.state == "succeeded" for one in outcomes),
        "failed": dict(Counter(one.code for one in outcomes if one.state == "failed")),
        "recovered_s": {
            "median": round(statistics.median(times), 2),
            "p95": round(times[int(len(times) * 0.95)], 2) if len(times) > 1 else round(times[0], 2),
            "max": round(times[-1], 2),
        },
        "slowest": [
            f"{one.operation}, {one.fault}: {one.recovered_s:.1f} s"
            for one in sorted(outcomes, key=lambda one: -one.recovered_s)[:5]
        ],
        "by_fault": dict(sorted(Counter(one.fault.removesuffix(" child") for one in outcomes).items())),
    }


def _spoken(summary: dict[str, Any]) -> str:
    times = summary["recovered_s"]
    failed = ", ".join(f"{code} {count}" for code, count in summary["failed"].items()) or "none"
    return "\n".join(
        [
            "",
            f"injected {summary['injected']}   lost {summary['lost']}   leaked {summary['leaked']}   "
            f"stuck {summary['stuck']}   wrong {summary['wrong']}",
            f"operations that succeeded {summary['succeeded']}, that failed with a cause: {failed}",
            f"from the fault to the operation's end: median {times['median']} s, p95 {times['p95']} s, "
            f"max {times['max']} s",
            *(f"  {one}" for one in summary["slowest"]),
        ]
    )
