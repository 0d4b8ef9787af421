"""One figure of the benchmark per file: `TITLE`, and `measure(bench)` that yields its rows."""
