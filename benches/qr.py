"""CQRRPT, BQRRP and least squares against LAPACK (geqp3, geqrf, gels), in turn, in one run.

    python3 benches/qr.py [rounds]

CQRRPT factors a 16384 x 1024 matrix and gives explicit Q, as geqrf with orgqr does; BQRRP a 4096 x 4096 one and
leaves Q as reflectors, as geqrf alone; lstsq and gels solve for one right-hand side of 65536 x 2048. Entries are f64,
threads two; what LAPACK takes does not depend on the entries, so its matrices are random ones. Ours are the rows
`cqrrpt`, `bqrrp` and `lstsq` of the table, timed by the table itself: the median of five calls after one to warm up. Needs SciPy and cargo.
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


def randomised(row):
    """Seconds of a row of the table."""
    printed = subprocess.run([*TABLE, row], check=True, capture_output=True, text=True).stdout
    return next(float(line.split()[1]) for line in printed.splitlines() if line.startswith(row))


def geqp3(a):
    """Pivoted QR, without Q."""
    n = a.shape[1]
    lapack.dgeqp3(a, lwork=2 * n + 64 * (n + 1), overwrite_a=True)


def geqrf(a):
    """QR without pivots, without Q."""
    lapack.dgeqrf(a, lwork=64 * a.shape[1], overwrite_a=True)


def geqrf_orgqr(a):
    """QR without pivots, explicit Q."""
    n = a.shape[1]
    qr, tau, _, _ = lapack.dgeqrf(a, lwork=64 * n, overwrite_a=True)
    lapack.dorgqr(qr, tau, lwork=64 * n, overwrite_a=True)


def gels(a):
    """Least squares by QR without pivots."""
    m, n = a.shape
    lapack.dgels(a, np.ones((m, 1), order="F"), lwork=n + 64 * n, overwrite_a=True, overwrite_b=True)


# Row of the table, shape, what LAPACK does instead.
JOBS = [
    ("cqrrpt", 16384, 1024, [geqp3, geqrf_orgqr]),
    ("bqrrp", 4096, 4096, [geqp3, geqrf]),
    ("lstsq", 65536, 2048, [gels]),
]


def seconds(call, a):
    """Seconds of a call on a copy of A."""
    copy = a.copy(order="F")
    start = time.perf_counter()
    call(copy)
    return time.perf_counter() - start


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    for row, m, n, peers in JOBS:
        a = np.asfortranarray(np.random.default_rng(7).standard_normal((m, n)))
        randomised(row)
        ratios = {peer.__name__: [] for peer in peers}
        for _ in range(rounds):
            ours = randomised(row)
            print(f"{row} {ours:.3f} s", end="")
            for peer in peers:
                theirs = seconds(peer, a)
                ratios[peer.__name__].append(theirs / ours)
                print(f", {peer.__name__} {theirs:.3f} s", end="", flush=True)
            print()
        for name, found in ratios.items():
            print(f"{row} against {name}: {statistics.median(found):.2f}x [{min(found):.2f}..{max(found):.2f}]")


if __name__ == "__main__":
    main()
