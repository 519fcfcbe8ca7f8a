#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs quire into an empty prefix and uses it from there: by pkg-config, by CMake, by dlopen, and
# from strict C99 and C++11.
#
#     test_install.sh BUILD_DIR SOURCE_DIR MODEL.gguf
set -eu

build=$1
source=$2
model=$3
here=$source/tests/install
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
prefix=$work/prefix

say() {
    printf '%s\n' "-- $*"
}

# Three answers of 32 tokens each; the same whichever way it was built.
check_answer() {
    "$@" "$model" </dev/null >"$work/answer"
    test "$(grep -c '^\[[123]\] ' "$work/answer")" = 3 || {
        cat "$work/answer"
        exit 1
    }
    test -f "$work/first" || cp "$work/answer" "$work/first"
    cmp "$work/first" "$work/answer"
}

say "install"
cmake --install "$build" --prefix "$prefix" >"$work/log"
lib=$(dirname "$(find "$prefix" -name libquire.a)")
test -f "$prefix/include/quire.h"
test -L "$lib/libquire.so"
for page in man1/quired.1 man1/quire.1 man1/loadgen.1 man3/libquire.3; do
    test -f "$prefix/share/man/$page"
done
PKG_CONFIG_PATH=$lib/pkgconfig
LD_LIBRARY_PATH=$lib
export PKG_CONFIG_PATH LD_LIBRARY_PATH

say "only quire_ is exported"
nm -D --defined-only "$lib/libquire.so" | awk '{ print $3 }' >"$work/exported"
grep -q '^quire_submit$' "$work/exported"
if grep -v '^quire_' "$work/exported" | grep -v '^_\(init\|fini\|edata\|end\|_bss_start\)$'; then
    say "are exported too"
    exit 1
fi

cc=${CC:-cc}
strict="-Wall -Wextra -Werror -pedantic"

say "C99 and C++11, strictly"
# shellcheck disable=SC2046,SC2086
$cc -std=c99 $strict $(pkg-config --cflags quire) "$here/header_c99.c" -o "$work/c99" \
    $(pkg-config --libs quire)
"$work/c99"
# shellcheck disable=SC2046,SC2086
${CXX:-c++} -std=c++11 $strict $(pkg-config --cflags quire) "$here/header_cxx11.cpp" \
    -o "$work/cxx11" $(pkg-config --libs quire)
"$work/cxx11"

say "the example by pkg-config, shared"
# shellcheck disable=SC2046,SC2086
$cc $strict $(pkg-config --cflags quire) "$source/tools/examples/embed.c" -o "$work/embed" \
    $(pkg-config --libs quire)
check_answer "$work/embed"

say "the example by pkg-config, static"
# shellcheck disable=SC2046
$cc $(pkg-config --cflags quire) "$source/tools/examples/embed.c" -o "$work/embed_static" \
    "$lib/libquire.a" $(pkg-config --static --libs quire | sed 's/-lquire//')
check_answer "$work/embed_static"

say "the example by CMake, shared and static"
cmake -S "$here/project" -B "$work/project" -DCMAKE_PREFIX_PATH="$prefix" \
    -DEMBED_SOURCE="$source/tools/examples/embed.c" >"$work/log"
cmake --build "$work/project" >>"$work/log" || {
    cat "$work/log"
    exit 1
}
check_answer "$work/project/embed_shared"
check_answer "$work/project/embed_static"

say "dlopen, in a program without jemalloc"
# shellcheck disable=SC2046,SC2086
$cc $strict -D_GNU_SOURCE -I"$prefix/include" "$here/dlopen_main.c" -o "$work/dlopen" -ldl
"$work/dlopen" "$lib/libquire.so" "$model"

say "all well"
