#!/bin/sh
# scripts/launched.sh STATS   fail unless every kernel of cuda/ptx is among the launches counted in STATS
#
# STATS is a file that the simulator wrote (RNLA_SIM_STATS).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
kernels=$(sed -n 's/^\.visible \.entry \([A-Za-z0-9_]*\)(.*/\1/p' "$root"/cuda/ptx/*.ptx | sort -u)
launched=$(cut -d' ' -f1 "$1" | sort -u)
total=0
missing=
for kernel in $kernels; do
    total=$((total + 1))
    printf '%s\n' "$launched" | grep -qxF "$kernel" || missing="$missing $kernel"
done
[ "$total" -gt 0 ] || { echo 'no kernels in cuda/ptx'; exit 1; }
[ -z "$missing" ] || { echo "never launched:$missing"; exit 1; }
echo "all $total kernels were launched"
