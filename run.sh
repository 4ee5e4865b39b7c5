#!/usr/bin/env bash
# Trains on Fashion-MNIST: makes .venv, finds the data, starts launch.train.
#
#   ./run.sh [flags of launch.train]      ./run.sh --help
#
# The flags come after the recipe's and win over them. PYTHON=... names the
# Python to make .venv with.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source .ci/environment.sh

# Prints the value that the arguments give to a flag: the last one wins.
value_of() {
  local name=$1 value='' argument previous=''
  shift
  for argument in "$@"; do
    [[ ! $previous =~ ^--?$name$ ]] || value=$argument
    [[ ! $argument =~ ^--?$name= ]] || value=${argument#*=}
    previous=$argument
  done
  echo "$value"
}

# Says whether Fashion-MNIST is to be had without the package of Debian.
has_data() {
  local data_dir
  data_dir=$(value_of data_dir "$@")
  data_dir=${data_dir:-${TFDS_DATA_DIR:-${HOME:-}/tensorflow_datasets}}
  [[ ! -d $data_dir/fashion_mnist ]] || return 0  # Spares a second start 5 s.
  "$venv_python" -c '
import sys
from pipelines import sources
sys.exit(sources.route("fashion_mnist", sys.argv[1]) is None)
' "$data_dir" 2>/dev/null
}

# Says whether these arguments train on Fashion-MNIST from wherever it is.
needs_data() {
  local dataset
  dataset=$(value_of dataset "$@")
  [[ ${dataset:-fashion_mnist} == fashion_mnist ]] &&
    [[ -z $(value_of archives_dir "$@") && ! " $* " =~ \ --?help ]]
}

prepare_environment requirements.txt
flags=(--flagfile=launch/recipes/fashion_mnist_convnet.flags)
if needs_data "$@"; then
  if [[ -d $unpacked_archives ]] || { ! has_data "$@" && prepare_archives; }; then
    flags+=("--archives_dir=$unpacked_archives")
  fi
fi
exec "$venv_python" -m launch.train "${flags[@]}" "$@"
