#!/usr/bin/env bash
# Runs a fuzzer: run.sh PROGRAM FOLDER [SEED…]. For $WEFT_FUZZ_SECONDS (default 3), from the seeds and
# the folder FOLDER ('' for none) of the corpus of HTTP streams where that is there. What it found is
# kept in $WEFT_FUZZ_KEEP if that is set.
set -euo pipefail
program=$1
folder=$2
shift 2

work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/fuzz.XXXXXX")
trap 'rm -rf "$work"' EXIT
kept=${WEFT_FUZZ_KEEP:-$work/kept}
mkdir -p "$kept"

# $WEFT_SHARED, or "shared" beside the checkout: this file is found through the link Bazel makes of it.
corpora() {
  local at
  at=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
  while [ "$at" != / ] && [ ! -d "$at/shared/corpora" ]; do at=$(dirname "$at"); done
  echo "${WEFT_SHARED:-$at/shared}/corpora"
}
mkdir "$work/seeds"
[ $# -eq 0 ] || cp "$@" "$work/seeds"
seeds=("$work/seeds")
archive=$(corpora)/h2o-http-corpus.tar.gz
if [ -n "$folder" ] && [ -r "$archive" ]; then
  tar -xzf "$archive" -C "$work" "fuzz/$folder"
  seeds+=("$work/fuzz/$folder")
fi

"$program" -max_total_time="${WEFT_FUZZ_SECONDS:-3}" -timeout=10 -rss_limit_mb=2048 -verbosity=0 \
  -print_final_stats=1 -artifact_prefix="${TEST_UNDECLARED_OUTPUTS_DIR:-$kept}/crash-" \
  "$kept" "${seeds[@]}"
