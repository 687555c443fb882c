#!/bin/sh
# Builds the core with the named sanitizers in a copy of the package, runs the C++ programs and, where the
# sanitizer can live inside CPython, the Python tests of the native rooms. TRIES=2: what failed is run once more, as
# some judge time, and sanitizers are slow.
set -eu
kind=$1
python=${PYTHON:-python3}
out=build/$(echo "$kind" | tr ',' '-')
mkdir -p "$out/package"
rm -rf "$out/package/qautlra"
cp -r src/qautlra "$out/package/qautlra"
find "$out/package" -name '*.so' -delete
# Half of the core is in none of the programs that run in threads: text, foreign spellings, files. One that comes to need
# something of it does not link.
left_out=
case $kind in
*thread*)
  left_out='/(feed/.*|(ctp|diff|normalise|parquet|quote)_[a-z0-9_]*|code|crc32|gb18030|group_rows|json_scan|liquidate'
  left_out="$left_out|paper|recover|row_json|rules|sim|slice|words|zstd)\\.cpp\$"
  ;;
esac
# Lines but no variables, and -O1: compiled in two thirds of the time of -O2.
cmake -S . -B "$out" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_FLAGS_RELWITHDEBINFO="-O1 -g1" \
  -DQAUTLRA_SANITIZE="$kind" -DQAUTLRA_NATIVE_TESTS=ON -DQAUTLRA_LEAVE_OUT="$left_out" \
  -DQAUTLRA_MODULE_DIR="$PWD/$out/package/qautlra/_core" -DPython_EXECUTABLE="$(command -v "$python")" >/dev/null
case $kind in
*thread*) # the programs whose parts run in threads: a journal's writer, a ring of ticks, memory made ready
  threaded="ctp_ring_test exchange_test hot_test journal_test"
  cmake --build "$out" -j "$(nproc)" --target $threaded
  programs="^($(echo $threaded | tr ' ' '|'))\$"
  ;;
*)
  cmake --build "$out" -j "$(nproc)"
  programs=.
  ;;
esac
tries=${TRIES:-1}
ctest --test-dir "$out" -j 2 -R "$programs" --output-on-failure --repeat "until-pass:$tries"
case $kind in
*address*)
  preload="$(${CXX:-c++} -print-file-name=libasan.so) $(${CXX:-c++} -print-file-name=libubsan.so)"
  # CPython never frees everything it allocates, so leak reports would be about the interpreter.
  under_pytest() {
    PYTHONPATH="$PWD/$out/package" LD_PRELOAD="$preload" ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc \
      HYPOTHESIS_PROFILE=short "$python" -m pytest -q -o cache_dir="$PWD/$out/pytest" -o timeout=600 \
      --capture=sys "$@" tests/core tests/property
  }
  rm -rf "$out/pytest"
  under_pytest -n 2 || { [ "$tries" -gt 1 ] && under_pytest --last-failed; }
  ;;
esac
