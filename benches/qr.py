"""CQRRPT and BQRRP against LAPACK's QR, pivoted (geqp3) and plain (geqrf), in turn, in one run.

    python3 benches/qr.py [rounds]

CQRRPT factors a 16384 x 1024 matrix and gives explicit Q, as geqrf with orgqr does; BQRRP a 4096 x 4096 one and
leaves Q as reflectors, as geqrf alone. Entries are random f64 numbers, threads two. Ours are the rows `cqrrpt` and `bqrrp` of the
table, timed by the table itself: the median of five calls after one to warm up. Needs SciPy and cargo.
"""

import os
import statistics
import subprocess
import sys
import time

# These choose a weaker kernel than the one that fits the CPU; OpenBLAS reads them when it is loaded.
for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)
os.environ["OPENBLAS_NUM_THREADS"] = "2"

import numpy as np  # noqa: E402
from scipy.linalg import lapack  # noqa: E402

TABLE = ["cargo", "bench", "--quiet", "--bench", "table", "--", "--ours"]
# Row of the table, shape, whether Q is formed.
JOBS = [("cqrrpt", 16384, 1024, True), ("bqrrp", 4096, 4096, False)]


def randomised(row):
    """Seconds of a row of the table."""
    printed = subprocess.run([*TABLE, row], check=True, capture_output=True, text=True).stdout
    return next(float(line.split()[1]) for line in printed.splitlines() if line.startswith(row))


def pivoted(a):
    """Seconds of geqp3, without Q."""
    n = a.shape[1]
    copy = a.copy(order="F")
    start = time.perf_counter()
    lapack.dgeqp3(copy, lwork=2 * n + 64 * (n + 1), overwrite_a=True)
    return time.perf_counter() - start


def plain(a, explicit):
    """Seconds of geqrf, and orgqr for explicit Q."""
    n = a.shape[1]
    copy = a.copy(order="F")
    start = time.perf_counter()
    qr, tau, _, _ = lapack.dgeqrf(copy, lwork=64 * n, overwrite_a=True)
    if explicit:
        lapack.dorgqr(qr, tau, lwork=64 * n, overwrite_a=True)
    return time.perf_counter() - start


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    for row, m, n, explicit in JOBS:
        a = np.asfortranarray(np.random.default_rng(7).standard_normal((m, n)))
        randomised(row)
        ratios = []
        name = "geqrf + orgqr" if explicit else "geqrf"
        for _ in range(rounds):
            ours, geqp3, geqrf = randomised(row), pivoted(a), plain(a, explicit)
            ratios.append((geqp3 / ours, geqrf / ours))
            print(f"{row} {ours:.3f} s, geqp3 {geqp3:.3f} s, {name} {geqrf:.3f} s", flush=True)
        for what, column in zip(("geqp3", name), zip(*ratios)):
            print(f"{row} against {what}: {statistics.median(column):.2f}x [{min(column):.2f}..{max(column):.2f}]")


if __name__ == "__main__":
    main()
