"""CQRRPT against LAPACK's QR, pivoted (geqp3) and plain with explicit Q (geqrf, orgqr), in turn, in one session.

    python3 benches/qr.py [rounds]

All factor a 16384 x 1024 matrix of normal f64 numbers on two threads. CQRRPT, with explicit Q, is the row
`cqrrpt` of the table, timed by the table itself: the median of five calls after one to warm up. Needs SciPy and
cargo.
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

M, N = 16384, 1024
TABLE = ["cargo", "bench", "--quiet", "--bench", "table", "--", "cqrrpt", "--ours"]


def randomised():
    """Seconds of CQRRPT."""
    printed = subprocess.run(TABLE, check=True, capture_output=True, text=True).stdout
    return next(float(line.split()[1]) for line in printed.splitlines() if line.startswith("cqrrpt"))


def pivoted(a):
    """Seconds of geqp3, without Q."""
    copy = a.copy(order="F")
    start = time.perf_counter()
    lapack.dgeqp3(copy, lwork=2 * N + 64 * (N + 1), overwrite_a=True)
    return time.perf_counter() - start


def plain(a):
    """Seconds of geqrf and orgqr."""
    copy = a.copy(order="F")
    start = time.perf_counter()
    qr, tau, _, _ = lapack.dgeqrf(copy, lwork=64 * N, overwrite_a=True)
    lapack.dorgqr(qr, tau, lwork=64 * N, overwrite_a=True)
    return time.perf_counter() - start


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    a = np.asfortranarray(np.random.default_rng(7).standard_normal((M, N)))
    randomised()
    ratios = []
    for _ in range(rounds):
        ours, geqp3, geqrf = randomised(), pivoted(a), plain(a)
        ratios.append((geqp3 / ours, geqrf / ours))
        print(f"cqrrpt {ours:.3f} s, geqp3 {geqp3:.3f} s, geqrf + orgqr {geqrf:.3f} s", flush=True)
    for name, column in zip(("pivoted QR", "plain QR with Q"), zip(*ratios)):
        print(f"{name}: {statistics.median(column):.2f}x [{min(column):.2f}..{max(column):.2f}]")


if __name__ == "__main__":
    main()
