"""The randomised SVD against LAPACK's thin SVD (gesdd in NumPy's OpenBLAS), in turn, in one session.

    python3 benches/thin_svd.py [rounds]

Both decompose a 4096 x 4096 matrix of f64 with singular values 1, 1/2, 1/3, ... on two threads. The
randomised SVD is the row `rsvd` of the table (rank 64, oversampling 10, two power passes), timed by
the table itself: the median of five calls after one to warm up. Needs NumPy and cargo.
"""

import ctypes
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

N = 4096
TABLE = ["cargo", "bench", "--quiet", "--bench", "table", "--", "rsvd", "--ours"]


def kernel():
    """The kernel that OpenBLAS chose, or NumPy's build configuration where it cannot be asked."""
    with open("/proc/self/maps", encoding="ascii", errors="replace") as maps:
        paths = {line.split()[-1] for line in maps if "openblas" in line}
    for path in paths:
        library = ctypes.CDLL(path)
        for name in ("scipy_openblas_get_corename64_", "openblas_get_corename"):
            if hasattr(library, name):
                corename = getattr(library, name)
                corename.restype = ctypes.c_char_p
                return f"{corename().decode()} ({os.path.basename(path)})"
    return str(np.show_config(mode="dicts")["Build Dependencies"]["lapack"])


def polynomial():
    """U diag(1, 1/2, 1/3, ...) V' with random orthogonal U and V."""
    rng = np.random.default_rng(7)
    u, v = (np.linalg.qr(rng.standard_normal((N, N)))[0] for _ in range(2))
    return np.asfortranarray((u / np.arange(1, N + 1)) @ v.T)


def randomised():
    """Seconds of a randomised SVD."""
    printed = subprocess.run(TABLE, check=True, capture_output=True, text=True).stdout
    return next(float(line.split()[1]) for line in printed.splitlines() if line.startswith("rsvd"))


def thin(a):
    """Seconds of one thin SVD."""
    start = time.perf_counter()
    np.linalg.svd(a, full_matrices=False)
    return time.perf_counter() - start


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    print("OpenBLAS kernel:", kernel())
    a = polynomial()
    randomised()
    ratios = []
    for _ in range(rounds):
        ours, lapack = randomised(), thin(a)
        ratios.append(lapack / ours)
        print(f"rsvd {ours:.3f} s, thin SVD {lapack:.1f} s, {ratios[-1]:.0f}x", flush=True)
    print(f"median speed-up {statistics.median(ratios):.0f}x [{min(ratios):.0f}..{max(ratios):.0f}]")


if __name__ == "__main__":
    main()
