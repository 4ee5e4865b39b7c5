#!/usr/bin/env bash
# Checks everything: ruff, pyink, mypy, then the tests on every core.
#
#   ./test.sh [--medium | --all] [arguments of pytest]
#   ./test.sh --write
#
# Without an option, tests that take 5 seconds or more are skipped: --medium adds
# those that take less than a minute or two, --all the others as well. --write only
# mends what can be mended by itself: the order of imports and the layout.
# PYTHON=... names the Python to make .venv with.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source .ci/environment.sh

selection=(-m 'not medium and not slow')
case ${1:-} in
  --medium) selection=(-m 'not slow') && shift ;;
  --all) selection=() && shift ;;
esac

prepare_environment requirements.txt requirements-test.txt \
  requirements-docs.txt
if [[ ${1:-} == --write ]]; then
  "$venv_python" -m ruff check --fix .
  exec "$venv_python" -m pyink --quiet .
fi
# Tests that read the real archives are skipped where there are none.
if [[ -z ${QUATRAIN_ARCHIVES_DIR:-} ]] &&
  [[ ! -d /usr/share/datasets/fashion-mnist ]] && prepare_archives; then
  export QUATRAIN_ARCHIVES_DIR=$unpacked_archives
fi

failed=()
check() {
  echo "== $1"
  shift
  "$@" || failed+=("$*")
}
check 'ruff' "$venv_python" -m ruff check .
check 'pyink' "$venv_python" -m pyink --quiet --check .
check 'mypy' "$venv_python" -m mypy

# One process a core, one thread each. Counted before: nproc heeds
# OMP_NUM_THREADS.
num_processes=$(nproc)
run_pytest() {
  local errors code=0
  errors=$(mktemp)
  OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 "$venv_python" -m pytest -q \
    --numprocesses "$num_processes" --dist loadfile "$@" 2>"$errors" || code=$?
  # What each process of TensorFlow says about the machine would hide the rest.
  grep -vE '^([IWE][0-9]{4} |WARNING: All log messages before)' "$errors" || true
  rm "$errors"
  return "$code"
}
check 'pytest' run_pytest "${selection[@]}" "$@"

for command in "${failed[@]}"; do
  echo "test.sh: failed: $command"
done
[[ ${#failed[@]} == 0 ]]
