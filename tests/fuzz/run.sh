#!/bin/sh
# Runs every fuzz target for the given seconds each, from its seed corpus, under address and undefined-behaviour
# sanitizers. New inputs go to build/fuzz; a finding fails the run, with its file.
set -eu
seconds=${1:-60}
cxx=${FUZZ_CXX:-clang++}
command -v "$cxx" >/dev/null || { echo "fuzzing needs clang with its fuzzer runtime (FUZZ_CXX)"; exit 1; }
out=build/fuzz
mkdir -p "$out/facts"
python3 ctp/abi/generate.py ctp/abi/facts.toml "$out/facts/facts.hpp"
includes="-Isrc/_core -Ictp/front -I$out/facts -Itests/fuzz"
flags="-std=c++20 -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all $includes"
objects=
for source in src/_core/base/*.cpp src/_core/market/*.cpp src/_core/tape/*.cpp src/_core/store/*.cpp src/_core/journal/*.cpp \
  src/_core/book/*.cpp src/_core/account/*.cpp src/_core/risk/*.cpp src/_core/exchange/*.cpp; do
  object=$out/$(echo "$source" | tr '/' '_').o
  [ "$object" -nt "$source" ] || $cxx $flags -c "$source" -o "$object" &
  objects="$objects $object"
  [ "$(jobs -p 2>/dev/null | wc -l)" -lt 2 ] || wait
done
wait
export seconds cxx flags objects out
jobs=${FUZZ_JOBS:-$(nproc)}
ls tests/fuzz/*_fuzz.cpp | xargs -P "$jobs" -n 1 sh tests/fuzz/target.sh || exit 1
# The parsers that are Python; the package is the checkout's where it is compiled there, else the installed one.
ls src/qautlra/_core/feed.*.so >/dev/null 2>&1 || unset PYTHONPATH
python3 -m tests.fuzz.python_targets "$seconds"
