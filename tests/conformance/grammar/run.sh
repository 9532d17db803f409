#!/bin/sh
# run.sh PROBE FOLDER [SEED [COUNT]]: compares our grammar with the one of the Prometheus UI, whose
# npm package is installed below FOLDER at first use. Exits with 77 where there is no npm or no
# registry.
set -u
probe=$1
folder=$2
seed=${3:-20260401}
count=${4:-40000}
here=$(dirname "$0")

skip() {
    echo "skipped: $1"
    exit 77
}

command -v node >/dev/null 2>&1 || skip "no node"
command -v npm >/dev/null 2>&1 || skip "no npm"
mkdir -p "$folder"
if [ ! -d "$folder/node_modules/@prometheus-io/lezer-promql" ]; then
    npm install --prefix "$folder" --no-audit --no-fund --silent \
        @prometheus-io/lezer-promql@0.314 @lezer/lr@1 @lezer/highlight@1 >/dev/null 2>&1 ||
        skip "@prometheus-io/lezer-promql cannot be installed"
fi
echo "seed $seed, $count queries"
"$probe" "$seed" "$count" | node "$here/compare.mjs" "$(cd "$folder" && pwd)"
