#!/bin/sh
# Builds the core with the named sanitizers in a copy of the package, runs the C++ programs and, where the
# sanitizer can live inside CPython, the Python tests of the native rooms.
set -eu
kind=$1
python=${PYTHON:-python3}
out=build/$(echo "$kind" | tr ',' '-')
mkdir -p "$out/package"
rm -rf "$out/package/qautlra"
cp -r src/qautlra "$out/package/qautlra"
find "$out/package" -name '*.so' -delete
cmake -S . -B "$out" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DQAUTLRA_SANITIZE="$kind" -DQAUTLRA_NATIVE_TESTS=ON \
  -DQAUTLRA_MODULE_DIR="$PWD/$out/package/qautlra/_core" -DPython_EXECUTABLE="$(command -v "$python")" >/dev/null
case $kind in
*thread*) cmake --build "$out" -j "$(nproc)" --target native_tests ;;
*) cmake --build "$out" -j "$(nproc)" ;;
esac
ctest --test-dir "$out" --output-on-failure
case $kind in
*address*)
  preload="$(${CXX:-c++} -print-file-name=libasan.so) $(${CXX:-c++} -print-file-name=libubsan.so)"
  # CPython never frees everything it allocates, so leak reports would be about the interpreter.
  PYTHONPATH="$PWD/$out/package" LD_PRELOAD="$preload" ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc \
    HYPOTHESIS_PROFILE=short "$python" -m pytest -q -n 2 -p no:cacheprovider --capture=sys tests/core tests/property
  ;;
esac
