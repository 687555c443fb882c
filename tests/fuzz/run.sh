#!/bin/sh
# Runs every fuzz target for the given seconds each, several at a time, from its seed corpus, under address and undefined-behaviour
# sanitizers. New inputs go to build/fuzz; a finding fails the run, with its file. For no seconds it compiles the core only.
set -eu
seconds=${1:-60}
cxx=${FUZZ_CXX:-clang++}
command -v "$cxx" >/dev/null || { echo "fuzzing needs clang with its fuzzer runtime (FUZZ_CXX)"; exit 1; }
out=build/fuzz
mkdir -p "$out/facts"
python3 ctp/abi/generate.py ctp/abi/facts.toml "$out/facts.hpp"
cmp -s "$out/facts.hpp" "$out/facts/facts.hpp" || cp "$out/facts.hpp" "$out/facts/"  # what is newer is compiled again
includes="-Isrc/_core -Ictp/front -I$out/facts -Itests/fuzz"
flags="-std=c++20 -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all $includes"
newest=$(find src/_core ctp/front "$out/facts" -name '*.hpp' -printf '%T@ %p\n' | sort -n | tail -1 | cut -d' ' -f2-)
sources="$(ls src/_core/base/*.cpp src/_core/market/*.cpp src/_core/tape/*.cpp src/_core/store/*.cpp src/_core/journal/*.cpp \
  src/_core/book/*.cpp src/_core/account/*.cpp src/_core/risk/*.cpp src/_core/exchange/*.cpp)"
objects=
for source in $sources; do objects="$objects $out/$(echo "$source" | tr '/' '_').o"; done
export cxx flags out newest
echo "$sources" | xargs -n 1 -P "${FUZZ_COMPILERS:-2}" sh -c '
  object=$out/$(echo "$0" | tr / _).o
  { [ "$object" -nt "$0" ] && [ "$object" -nt "$newest" ]; } || exec $cxx $flags -c "$0" -o "$object"'
[ "$seconds" -gt 0 ] || exit 0
# The parsers that are Python; the package is the checkout's where it is compiled there, else the installed one.
ls src/qautlra/_core/feed.*.so >/dev/null 2>&1 || unset PYTHONPATH
export seconds objects
targets="$(ls tests/fuzz/*_fuzz.cpp) $(python3 -m tests.fuzz.python_targets --list)"
echo "$targets" | xargs -n 1 -P "${FUZZ_JOBS:-4}" sh tests/fuzz/target.sh
