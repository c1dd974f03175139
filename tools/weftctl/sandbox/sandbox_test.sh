#!/bin/bash
# The sandbox itself, with stand-ins for weftd and the proxies: pods, services, live changes, kill
# and restart, and that nothing is left behind. Its pods go without sidecars, so what is seen is the
# sandbox's own networking.
set -u
weftctl=$PWD/$1
stand_in=$PWD/$2
export WEFTD=$stand_in WEFT_PROXY=$stand_in
export XDG_RUNTIME_DIR=$(mktemp -d /tmp/weft-test.XXXXXX)
work=$XDG_RUNTIME_DIR/work
export COLOUR=red http_proxy=http://127.0.0.1:9
name=test
passed=0
failed=0

sandbox() { local command=$1; shift; "$weftctl" sandbox "$command" --name $name "$@"; }
finish() {
  sandbox down
  rm -rf "$XDG_RUNTIME_DIR"
  echo "$passed passed, $failed failed"
  [ $failed = 0 ]
  exit
}
trap 'sandbox down; rm -rf "$XDG_RUNTIME_DIR"' EXIT

expect() {  # WHAT EXPECTED ACTUAL
  if [ "$2" = "$3" ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAILED: $1: expected '$2', got '$3'"
  fi
}
eventually() {  # WHAT EXPECTED COMMAND…: within two seconds
  local what=$1 expected=$2 actual; shift 2
  for _ in $(seq 40); do
    actual=$("$@" 2>&1)
    [ "$actual" = "$expected" ] && break
    sleep 0.05
  done
  expect "$what" "$expected" "$actual"
}
field() { sed "s/.*\"$1\":\"\([^\"]*\)\".*/\1/"; }
ask() { sandbox exec "$1" -- curl -sS -m 3 "$2"; }
ready_pods() { sandbox status | grep "^$1 .* yes " | grep -c "$2"; }
host_state() { cat /proc/self/mounts; ls -l /proc/self/ns | awk '{print $NF}'; }
# Living processes with this test's environment and a process namespace that is not its own.
processes() {
  local count=0 own p
  own=$(readlink /proc/self/ns/pid)
  for p in $(grep -lsaF "$XDG_RUNTIME_DIR" /proc/[0-9]*/environ); do
    [ "$(readlink "${p%/environ}/ns/pid")" != "$own" ] && [ -e "$p" ] && count=$((count + 1))
  done
  echo $count
}

web() {  # REPLICAS
  cat <<YAML
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: $1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web, version: v1}}
    spec:
      serviceAccountName: web
      containers:
      - {name: web, image: example/web, ports: [{name: http, containerPort: 8080}]}
YAML
}

mkdir -p "$work"/{east,west,mars,bad}
cat > "$work/east/base.yaml" <<'YAML'
apiVersion: v1
kind: Namespace
metadata: {name: default, labels: {istio-injection: disabled}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client, labels: {app: client}}
spec:
  containers:
  - {name: client, image: x, command: [sleep, infinity], env: [{name: COLOUR, value: blue}]}
YAML
cp "$work/east/base.yaml" "$work/west/"
cp "$work/east/base.yaml" "$work/mars/"
web 2 > "$work/east/web.yaml"
web 1 > "$work/west/web.yaml"
touch "$work/bad/invalid"
before=$(host_state)

# Bad input.
sandbox up --cluster "east=$work/bad" 2> "$work/err"; expect "up with invalid objects" 1 $?
expect "its reason" 1 "$(grep -c 'Service default/x: spec.ports' "$work/err")"
sandbox up --cluster "east=$work/none" 2> /dev/null; expect "up with a missing folder" 1 $?
sandbox up --cluster "east=$work/east" --image web=nosuchcommand 2> "$work/err"
expect "up with an unknown command" 1 $?
expect "its reason" 1 "$(grep -c "no command 'nosuchcommand'" "$work/err")"
sandbox up --cluster "east=$work/east" --block-inbound west 2> /dev/null
expect "up with nobody blocked" 1 $?
sandbox status 2> /dev/null; expect "status of nothing" 1 $?
sandbox down; expect "down of nothing" 0 $?

# Up.
sandbox up --cluster "east=$work/east" --cluster "west=$work/west" --cluster "mars=$work/mars" \
  --locality east=r1/z1 --block-inbound mars
expect "up" 0 $?
sandbox up --cluster "east=$work/east" 2> "$work/err"; expect "up twice" 1 $?
expect "its reason" 1 "$(grep -c 'already up' "$work/err")"
expect "processes while up" yes "$([ "$(processes)" -gt 5 ] && echo yes)"
expect "pods in east" 2 "$(ready_pods east ' web-')"
state=$XDG_RUNTIME_DIR/weft/$name
expect "the node's zone" 1 "$(grep -c '"topology.kubernetes.io/zone": "z1"' "$state/east/generated/Node.json")"
expect "peers are linked" 1 \
  "$(grep -c 'gateways: \["172.31.0.12:15443/15008"\]' "$state/east/peers/west.yaml")"
expect "with the blocked one, too" 1 "$(grep -c 'outboundOnly: true' "$state/east/peers/mars.yaml")"
expect "which knows them" 2 "$(ls "$state/mars/peers" | wc -l)"

# Traffic through the service, by name, in both clusters with the same addresses.
expect "east answers itself" east "$(ask east/client http://web/x | field cluster)"
expect "west answers itself" west "$(ask west/client http://web.default.svc.cluster.local/ | field cluster)"
expect "the echo knows its account" web "$(ask east/client http://web/ | field service_account)"
expect "an unknown name" 6 "$(ask east/client http://nope/ > /dev/null 2>&1; echo $?)"
expect "pods of the other cluster are out of reach" east \
  "$(ask east/client "http://$(sandbox status | awk '/^west .* web-/ {print $4}'):8080/" | field cluster)"
pods=$(for _ in $(seq 30); do ask east/client http://web/ | field pod; done | sort -u | wc -l)
expect "both pods take part" 2 "$pods"

# Into a blocked cluster comes only what answers.
"$weftctl" sandbox exec --name $name west/router -- "$weftctl" sandbox echo --port 8099 \
  --cluster router & server=$!
eventually "a blocked cluster reaches out" router \
  eval "ask mars/client http://172.31.0.12:8099/ 2> /dev/null | field cluster"
kill $server
wait $server 2> /dev/null
"$weftctl" sandbox exec --name $name mars/router -- "$weftctl" sandbox echo --port 8099 \
  --cluster router & server=$!
eventually "its own see its router" router \
  eval "ask mars/client http://172.31.0.13:8099/ 2> /dev/null | field cluster"
expect "and others do not" 28 "$(ask east/client http://172.31.0.13:8099/ > /dev/null 2>&1; echo $?)"
kill $server
wait $server 2> /dev/null

# exec.
sandbox exec east/client -- sh -c 'exit 7'; expect "exec's exit status" 7 $?
sandbox exec east/client -- sh -c 'kill -TERM $$'; expect "exec's signal" 143 $?
sandbox exec east/client -- /no/such/command 2> /dev/null; expect "exec of nothing" 127 $?
sandbox exec east/nobody -- true 2> /dev/null; expect "exec nowhere" 1 $?
expect "exec's input" hello "$(echo hello | sandbox exec east/client -- cat)"
expect "exec's error output" oops "$(sandbox exec east/client -- sh -c 'echo oops >&2' 2>&1 > /dev/null)"
expect "a pod's environment" blue \
  "$(sandbox exec east/client -- printenv COLOUR http_proxy)"
expect "a pod's host name" client "$(sandbox exec east/default/client -- hostname)"
expect "the router's address" 1 "$(sandbox exec east/router -- ip -4 -o addr show wan0 | grep -c 172.31.0.11)"
"$weftctl" sandbox exec --name $name east/client -- sleep 4321 & sleeper=$!
eventually "exec runs" 1 sandbox exec east/client -- pgrep -fc '^sleep 4321'
kill -9 $sleeper
wait $sleeper 2> /dev/null
eventually "exec ends with its caller" 0 sandbox exec east/client -- pgrep -fc '^sleep 4321'

# Live changes.
web 3 > "$work/west/web.yaml"
eventually "a file is edited" 3 ready_pods west ' web-'
echo 'kind: [broken' > "$work/west/web.yaml"
sleep 0.2
expect "a broken file changes nothing" 3 "$(ready_pods west ' web-')"
web 1 > "$work/west/web.yaml"
eventually "and is mended" 1 ready_pods west ' web-'
mkdir "$work/west/zz"
sleep 0.1
web 2 > "$work/west/zz/web.yaml"
eventually "a new folder is read, or its file wins" 2 ready_pods west ' web-'
rm -r "$work/west/zz"
eventually "and is gone" 1 ready_pods west ' web-'
web 4 > "$work/web4.yaml"
sandbox apply west -f "$work/web4.yaml" > /dev/null; expect "apply" 0 $?
eventually "apply scales" 4 ready_pods west ' web-'
sandbox delete west -f "$work/web4.yaml" > /dev/null; expect "delete" 0 $?
eventually "delete hides the folder's object" 0 ready_pods west ' web-'
expect "a service without pods refuses" 7 "$(ask west/client http://web/ > /dev/null 2>&1; echo $?)"
sandbox apply west -f - < "$work/west/web.yaml" > /dev/null
eventually "apply brings it back" 1 ready_pods west ' web-'
sandbox delete west -f "$work/none.yaml" 2> /dev/null; expect "delete of a missing file" 1 $?

# Death and return.
slice=$state/east/generated/EndpointSlice.default.web.json
sandbox kill east/web; expect "kill" 0 $?
expect "its endpoints are not ready" 0 "$(grep -c '"ready": true' "$slice")"
expect "its service refuses" 7 "$(ask east/client http://web/ > /dev/null 2>&1; echo $?)"
sandbox restart east/web; expect "restart" 0 $?
eventually "its pods come back" 2 ready_pods east ' web-'
expect "and answer" east "$(ask east/client http://web/ | field cluster)"
sandbox kill east/weftd; expect "weftd is killed" 0 "$(ready_pods east ' weftd ')"
sandbox restart east/weftd
eventually "weftd comes back" 1 ready_pods east ' weftd '
expect "logs" 0 "$(sandbox logs east/client > /dev/null; echo $?)"

# Nothing is left.
sandbox down; expect "down" 0 $?
expect "the state folder after down" "" "$(ls "$XDG_RUNTIME_DIR" | grep -v work)"
expect "processes after down" 0 "$(processes)"
sandbox up --cluster "east=$work/east" > /dev/null; expect "up again" 0 $?
kill -9 "$(cut -d' ' -f1 "$state/supervisor.pid")"
eventually "processes after the supervisor's death" 0 processes
sandbox status 2> "$work/err"; expect "status of the dead" 1 $?
expect "its way out" 1 "$(grep -c 'sandbox down' "$work/err")"
sandbox up --cluster "east=$work/east" > /dev/null; expect "up over the dead" 0 $?
sandbox down; expect "down at last" 0 $?
expect "the state folder at last" "" "$(ls "$XDG_RUNTIME_DIR" | grep -v work)"
expect "processes at last" 0 "$(processes)"
expect "mounts and namespaces" "$before" "$(host_state)"
trap - EXIT
finish
