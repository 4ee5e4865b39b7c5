#!/usr/bin/env bash
# Trains on Fashion-MNIST: makes .venv, finds the data, starts launch.train.
#
#   ./run.sh [flags of launch.train]      ./run.sh --help
#
# Without a --flagfile of yours it begins with that of a convolutional network,
# launch/recipes/fashion_mnist_convnet.flags, and your flags win over it. Paths
# are relative to the folder that run.sh is called from. PYTHON=... names the
# Python to make .venv with.
set -euo pipefail
caller=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"
source .ci/environment.sh
root=$PWD

# Runs code in the folder of the caller. A `launch` of that folder is not ours,
# so it is not looked for there, as `python -m` would do.
in_folder='
import sys
sys.path[:] = [sys.argv.pop(1), *filter(None, sys.path)]
'

# Prints the flags, those in flag files among them, one after another with NUL
# between them; nothing if they cannot be read, which launch.train tells.
expanded() {
  "$root/$venv_python" -c "$in_folder"'
from launch import programs, train
for token in programs.command_line.tokens(sys.argv[1:]):
  print(token.text, end="\0")
' "$root" "$@" 2>/dev/null || true
}

# Prints the value that the arguments give to a flag: the last one wins.
value_of() {
  local name=$1 value='' argument
  shift
  for argument in "$@"; do
    [[ ! $argument =~ ^--?$name= ]] || value=${argument#*=}
  done
  echo "$value"
}

# Returns whether Fashion-MNIST is to be had without the package of Debian.
has_data() {
  local data_dir
  data_dir=$(value_of data_dir "$@")
  data_dir=${data_dir:-${TFDS_DATA_DIR:-${HOME:-}/tensorflow_datasets}}
  data_dir=${data_dir/#\~\//${HOME:-}/}
  [[ ! -d $data_dir/fashion_mnist ]] || return 0  # Spares a second start 5 s.
  "$root/$venv_python" -c "$in_folder"'
from pipelines import sources
sys.exit(sources.route("fashion_mnist", sys.argv[1]) is None)
' "$root" "$data_dir" 2>/dev/null
}

# Returns whether these arguments train on Fashion-MNIST from wherever it is.
needs_data() {
  local dataset
  dataset=$(value_of dataset "$@")
  [[ ${dataset:-fashion_mnist} == fashion_mnist ]] &&
    [[ -z $(value_of archives_dir "$@") && ! " $* " =~ \ --?help ]]
}

# Returns whether one of the arguments is a flag file.
names_flag_file() {
  local argument
  for argument in "$@"; do
    [[ ! $argument =~ ^--?flagfile(=|$) ]] || return 0
  done
  return 1
}

prepare_environment requirements.txt
cd "$caller"
flags=()
names_flag_file "$@" ||
  flags+=("--flagfile=$root/launch/recipes/fashion_mnist_convnet.flags")
mapfile -d '' -t all < <(expanded ${flags[@]+"${flags[@]}"} "$@")
if needs_data ${all[@]+"${all[@]}"}; then
  if [[ -d $unpacked_archives ]] || { ! has_data ${all[@]+"${all[@]}"} &&
    (cd "$root" && prepare_archives); }; then
    flags+=("--archives_dir=$unpacked_archives")
  fi
fi
exec "$root/$venv_python" -c "$in_folder"'
import runpy
runpy.run_module("launch.train", run_name="__main__", alter_sys=True)
' "$root" ${flags[@]+"${flags[@]}"} "$@"
