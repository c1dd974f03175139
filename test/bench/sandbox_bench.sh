#!/usr/bin/env bash
# Measures a mesh of two clusters from tools/samples in a sandbox of its own: time to come up, what
# an exec costs, the memory of each idle proxy, the time from an edit of a YAML file to the first
# answer that follows it, and from a new Service in one cluster to the first answer to another one.
# README.md says how to read the numbers.
#   --edits N        edits to take the median of (default 20)
#   --weftctl PATH   the binary to use; weftd and weft-proxy are found beside it
set -euo pipefail
export LC_ALL=C  # a point in EPOCHREALTIME

readonly max_rss_mb=20 max_edit_ms=200 max_export_ms=1000
readonly exports=10
readonly patience=10  # seconds that one edit may take
name=bench-$$
edits=20
weftctl=
work=
caller=
up=

die() {
  echo "sandbox_bench: $*" >&2
  exit 1
}

now_us() { echo "${EPOCHREALTIME/./}"; }

sandbox() {
  local verb=$1
  shift
  "$weftctl" sandbox "$verb" --name "$name" "$@"
}

clean_up() {
  local status=$?
  trap - EXIT
  if [ -n "$caller" ]; then
    kill "$caller" 2>/dev/null || true
    wait "$caller" 2>/dev/null || true
  fi
  [ -z "$up" ] || sandbox down || status=1
  [ -z "$work" ] || rm -rf "$work"
  exit "$status"
}

# median and maximum of the numbers on standard input, one a line
median() { sort -n | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'; }
maximum() { sort -n | tail -n 1; }

verdict() { # VALUE LIMIT
  awk -v value="$1" -v limit="$2" 'BEGIN { print value <= limit ? "ok" : "MISSED" }'
}

# Under `bazel run` this file is a link beside the binaries; else they are in bazel-bin.
find_files() {
  local here root
  here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
  root=${BUILD_WORKSPACE_DIRECTORY:-$(dirname "$(dirname "$here")")}
  samples=$root/tools/samples
  weftctl=$(readlink -f "${weftctl:-$root/bazel-bin/tools/weftctl/weftctl}") || true
  [ -x "$weftctl" ] || die "no weftctl: bazel build //proxy:weft-proxy //controlplane:weftd //tools/weftctl"
  [ -d "$samples/east" ] || die "$samples/east: no such folder"
}

measure_up() {
  local start
  start=$(now_us)
  up=yes
  sandbox up --cluster "east=$work/east" --cluster "west=$work/west" \
    --locality east=us-east/us-east-1 --locality west=eu-west/eu-west-1 ||
    die 'the sandbox did not come up'
  printf '%-44s %8.2f s\n' 'up: two clusters until every proxy is ready' \
    "$(awk -v us=$(($(now_us) - start)) 'BEGIN { print us / 1e6 }')"
}

measure_exec() {
  local start
  for _ in $(seq 20); do
    start=$(now_us)
    sandbox exec east/shop/frontend -- true
    echo $(($(now_us) - start))
  done >"$work/exec"
  printf '%-44s %8.1f ms\n' 'exec of the command true, median of 20' \
    "$(awk -v us="$(median <"$work/exec")" 'BEGIN { print us / 1e3 }')"
}

# Runs in a pod, whose /proc shows every process of the sandbox: "RSS_KB PSS_KB POD" a proxy.
list_proxies() {
  local each rss pss pod
  for each in /proc/[0-9]*; do
    [ "$(cat "$each/comm" 2>/dev/null)" = weft-proxy ] || continue
    rss=$(awk '/^VmRSS:/ { print $2 }' "$each/status")
    pss=$(awk '/^Pss:/ { print $2 }' "$each/smaps_rollup" 2>/dev/null)
    pod=$(tr '\0' '\n' <"$each/environ" |
      awk -F= '/^(WEFT_CLUSTER_ID|POD_NAME)=/ { v[$1] = $2 }
        END { print v["WEFT_CLUSTER_ID"] "/" v["POD_NAME"] }')
    echo "$rss ${pss:-0} $pod"
  done
}

measure_memory() {
  local worst
  sleep 2  # idle: nothing was called yet, and what the start needed has been given back
  sandbox exec east/shop/frontend -- bash -c "$(declare -f list_proxies); list_proxies" \
    >"$work/memory"
  [ -s "$work/memory" ] || die 'no weft-proxy runs in the sandbox'
  worst=$(awk '{ print $1 / 1024 }' "$work/memory" | maximum)
  awk '{ printf "  %-42s %8.1f MB   (%.1f MB its share of what is shared)\n", $3, $1 / 1024, $2 / 1024 }' \
    "$work/memory" | sort
  printf '%-44s %8.1f MB   target <= %d: %s\n' 'idle RSS, the largest proxy' "$worst" \
    "$max_rss_mb" "$(verdict "$worst" "$max_rss_mb")"
}

# Runs in a pod: "TIME_US STATUS BODY" an answer, without a pause.
ask_on() {
  local answer
  while true; do
    answer=$(curl -s -m 5 -H 'x-tester: yes' -w ' %{http_code}' http://greeter/hello) || true
    printf '%s %s %s\n' "${EPOCHREALTIME/./}" "${answer##* }" "${answer//$'\n'/ }"
  done
}

# answered_by VERSION SINCE_US: the milliseconds until an answer shows it.
answered_by() {
  local deadline=$(($(now_us) + patience * 1000000)) at
  while [ "$(now_us)" -lt "$deadline" ]; do
    at=$(tail -n 100 "$work/answers" | awk -v since="$2" -v want="\"version\":\"$1\"" \
      '$1 > since && $2 == 200 && index($0, want) { print $1; exit }')
    if [ -n "$at" ]; then
      awk -v us=$((at - $2)) 'BEGIN { print us / 1e3 }'
      return 0
    fi
    sleep 0.01
  done
  die "an edit to $1 showed in no answer for $patience s; last: $(tail -n 1 "$work/answers" | cut -c1-120)"
}

measure_edits() {
  local to from edited ms i
  # exec: what clean_up kills has to be weftctl itself.
  (exec "$weftctl" sandbox exec --name "$name" east/shop/frontend -- \
    bash -c "$(declare -f ask_on); ask_on" >"$work/answers" 2>/dev/null) &
  caller=$!
  answered_by v1 "$(now_us)" >/dev/null
  for i in $(seq "$edits"); do
    to=v$((i % 2 + 1)) from=v$((2 - i % 2))
    sed "s/subset: $from  # testers/subset: $to  # testers/" "$work/east/routes.yaml" \
      >"$work/east/.routes"
    edited=$(now_us)
    mv "$work/east/.routes" "$work/east/routes.yaml"
    ms=$(answered_by "$to" "$edited")
    echo "$ms"
    sleep "0.$((i % 5 + 1))"  # at no rhythm of whatever collects changes
  done >"$work/edits"
  local failed
  failed=$(awk '$2 != 200' "$work/answers" | wc -l)
  ms=$(median <"$work/edits")
  printf '%-44s %8.1f ms   target <= %d: %s\n' "edit to changed answer, median of $edits" "$ms" \
    "$max_edit_ms" "$(verdict "$ms" "$max_edit_ms")"
  printf '%-44s %8.1f ms\n' '  the slowest' "$(maximum <"$work/edits")"
  printf '%-44s %8d of %d\n' '  calls failed meanwhile' "$failed" "$(wc -l <"$work/answers")"
}

# Runs in a pod, until there is an answer.
ask_until() {
  until curl -sf -m 1 -o /dev/null "$1"; do :; done
  echo "${EPOCHREALTIME/./}"
}

# A Service that west has all at once, and east, where nothing of that name was ever.
measure_exports() {
  local i start
  for i in $(seq "$exports"); do
    sandbox exec east/shop/frontend -- timeout "$patience" \
      bash -c "$(declare -f ask_until); ask_until http://new-$i.shop/" >"$work/answered" &
    sleep "0.$((i % 5 + 3))"  # it asks in vain by then
    sed "s/NAME/new-$i/" >"$work/west/.new" <<'YAML'
apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: shop}
spec:
  selector: {app: greeter}
  ports: [{name: http, port: 80, targetPort: 8080}]
YAML
    start=$(now_us)
    mv "$work/west/.new" "$work/west/new-$i.yaml"
    wait $! || die "new-$i answered nobody in east for $patience s"
    awk -v from="$start" '{ print ($1 - from) / 1e3 }' "$work/answered"
  done >"$work/exports"
  local worst
  worst=$(maximum <"$work/exports")
  printf '%-44s %8.1f ms\n' "new export to first answer, median of $exports" \
    "$(median <"$work/exports")"
  printf '%-44s %8.1f ms   target <= %d: %s\n' '  the slowest' "$worst" "$max_export_ms" \
    "$(verdict "$worst" "$max_export_ms")"
}

main() {
  while [ $# -gt 0 ]; do
    case "$1" in
      --edits) edits=${2:?--edits: a number is missing}; shift 2 ;;
      --weftctl) weftctl=${2:?--weftctl: a path is missing}; shift 2 ;;
      *) echo 'usage: sandbox_bench.sh [--edits N] [--weftctl PATH]' >&2; exit 64 ;;
    esac
  done
  find_files
  trap clean_up EXIT
  trap 'exit 130' INT TERM
  work=$(mktemp -d)
  cp -r "$samples/east" "$samples/west" "$work/"
  measure_up
  measure_exec
  measure_memory
  measure_edits
  measure_exports
  local start
  start=$(now_us)
  up=
  sandbox down
  printf '%-44s %8.2f s\n' 'down' "$(awk -v us=$(($(now_us) - start)) 'BEGIN { print us / 1e6 }')"
}

main "$@"
