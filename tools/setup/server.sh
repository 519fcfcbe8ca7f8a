# SPDX-License-Identifier: MIT
# Starts a server on a temporary socket, and ends it with the script.  Sourced after common.sh.
# Needs bash.

# start_server FLAG...: sets socket; its output is in $server_dir/out, its log in $server_dir/log.
start_server() {
    server_dir=$(mktemp -d)
    socket="$server_dir/quire.sock"
    server=
    : >"$server_dir/out" # the loop below may read it before quired has written it
    trap stop_server EXIT
    trap 'exit 130' INT TERM
    "$quire_root/build/quired" --model "$QUIRE_MODEL" --socket "$socket" "$@" \
        >"$server_dir/out" 2>"$server_dir/log" &
    server=$!
    for _ in $(seq 200); do
        grep -q '^quired: ready' "$server_dir/out" && return 0
        kill -0 "$server" 2>/dev/null || { cat "$server_dir/log" >&2; fail "quired did not start"; }
        sleep 0.05
    done
    cat "$server_dir/log" >&2
    fail "quired was not ready in 10 s"
}

# The second signal ends the server without waiting for its requests.
stop_server() {
    if [ -n "${server:-}" ]; then
        kill -TERM "$server" 2>/dev/null || true
        kill -TERM "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    server=
    rm -rf "${server_dir:?}"
}
