#!/bin/sh
# Runs one fuzz target: $1 is a C++ source, compiled first, or the name of one in Python; the rest comes from run.sh.
set -eu
case $1 in
*.cpp) ;;
*) python3 -m tests.fuzz.python_targets "$seconds" "$1" && exit || exit 255 ;;
esac
name=$(basename "$1" .cpp)
$cxx $flags -fsanitize=fuzzer "$1" $objects -o "$out/$name" -lpthread
mkdir -p "$out/$name.found"
seeds=tests/fuzz/corpus/${name%_fuzz}
if [ ! -d "$seeds" ]; then # a target whose seeds need true checksums writes them itself
  seeds=$out/$name.seeds
  mkdir -p "$seeds"
  "$out/$name" --seeds="$seeds" >/dev/null
fi
"$out/$name" -max_total_time="$seconds" -len_control=0 -verbosity=0 \
  -artifact_prefix="$out/$name." "$out/$name.found" "$seeds" 2>"$out/$name.log" || { tail -40 "$out/$name.log"; exit 255; }
echo "== $name for $seconds s: no finding; $(ls "$seeds" | wc -l) seeds, $(ls "$out/$name.found" | wc -l) inputs kept"
