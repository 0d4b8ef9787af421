"""python -m tests.bench [name …] [--runs N] [--fill N] [--count N] [--home DIR] [--json]"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from tests.bench.bench import benchmark
from tests.bench.measure import Row, Skipped

#: In the order of running: quick ones first, those that leave the machine warm or full last.
FIGURES = (
    "create",
    "delete",
    "exec",
    "echo",
    "throughput",
    "disk",
    "boot",
    "kinds",
    "apps",
    "pages",
    "neighbours",
    "backups",
    "bomb",
    "memory",
    "many",
    "idle",
)


def main() -> int:
    if os.geteuid() != 0:
        print("the benchmark makes environments: it needs root", file=sys.stderr)
        return 2
    if sys.argv[1:2] == ["packages"]:
        from tests.packages.run import main as run_packages  # options of its own

        return run_packages(sys.argv[2:])
    options = _options()
    if options.names == ["faults"]:
        from tests.faults.longrun import run  # its own installation, its own summary

        return run(runs=options.runs, seed=options.seed, home=options.home, as_json=options.json)
    if options.names == ["seen"]:
        from tests.faults.seen import run as run_seen  # how soon a page shows what happened

        return run_seen(home=options.home, as_json=options.json)
    if options.names == ["scale"]:
        from tests.bench.scale import run as run_scale  # generated rows on a PostgreSQL of its own

        return run_scale(runs=options.runs, as_json=options.json)
    report = {"machine": machine(), "runs": options.runs, "filled": options.fill, "figures": {}}
    say = (lambda _: None) if options.json else (lambda text: print(text, flush=True))
    say(f"{report['machine']}, {options.runs} runs, medians; {options.fill} other environments on the node")
    with benchmark(options.home, options.runs, options.count, has_domains="apps" in options.names) as bench:
        bench.fill(options.fill)
        for name in options.names:
            module = import_module(f"tests.bench.figures.{name}")
            say(f"\n{name}: {module.TITLE}")
            rows = []
            for row in _rows(module.measure(bench), name):
                rows.append(row.document())
                say(row.line())
                if isinstance(row, Row) and row.note:
                    say(f"  {'':34} {row.note}")
            report["figures"][name] = rows
            bench.tidy()
    if options.json:
        print(json.dumps(report, indent=1))
    return 0


def _rows(measured: Iterator[Row | Skipped], name: str) -> Iterator[Row | Skipped]:
    """A figure that fails says so and doesn't take the others with it."""
    try:
        yield from measured
    except (AssertionError, OSError, RuntimeError, TimeoutError) as failed:
        yield Skipped(name, f"failed: {type(failed).__name__}: {failed}")


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    model = models[0] if models else platform.machine()
    load = os.getloadavg()[0]
    day = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    return f"{day} UTC, Linux {platform.release()}, {os.cpu_count()} × {model}, load {load:.1f}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="wadah bench", description="Measures an installation of its own.")
    parser.add_argument(
        "names",
        nargs="*",
        metavar="name",
        help=f"of {', '.join(FIGURES)}; or faults; or seen; or scale; or packages",
    )
    parser.add_argument("--runs", type=int, default=30, help="of each figure (30)")
    parser.add_argument("--fill", type=int, default=0, metavar="N", help="N idle environments beside (0)")
    parser.add_argument(
        "--count", type=int, default=60, metavar="N", help="made by `many`, `memory` and `idle` (60)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the faults that `faults` draws (1)")
    parser.add_argument("--home", type=Path, help="measure the installation in HOME, which is up")
    parser.add_argument("--json", action="store_true", help="every value, for programs")
    options = parser.parse_args()
    options.names = options.names or list(FIGURES)
    unknown = (
        set(options.names) - set(FIGURES) if options.names not in (["faults"], ["scale"], ["seen"]) else set()
    )
    if unknown:
        parser.error(f"there is no figure {', '.join(sorted(unknown))}; there are {', '.join(FIGURES)}")
    if options.runs < 1 or options.fill < 0 or options.count < 1:
        parser.error("--runs and --count are 1 or more, --fill is 0 or more")
    return options


if __name__ == "__main__":
    sys.exit(main())
