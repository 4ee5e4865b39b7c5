# What run.sh and test.sh share: the virtual environment and the data.
# Sourced, with the repository as the current directory. Reads PYTHON: the
# Python to make .venv with, when it is not the first that serves.

venv_python=.venv/bin/python
unpacked=.data/dataset-fashion-mnist
unpacked_archives="$PWD/$unpacked/usr/share/datasets/fashion-mnist"

fail() {
  printf '%s: %s\n' "${0##*/}" "$1" >&2
  exit 1
}

# Prints the version of a Python, if it is one that Quatrain runs on and that
# can make a virtual environment.
usable_version() {
  "$1" -c '
import ensurepip, platform, sys, venv
assert (3, 10) <= sys.version_info < (3, 14)
print(platform.python_version())' 2>/dev/null
}

# Prints the Python to make .venv with.
find_python() {
  local candidate
  if [[ -n ${PYTHON:-} ]]; then
    usable_version "$PYTHON" >/dev/null || fail "PYTHON=$PYTHON is not a \
Python 3.10 to 3.13 with venv; name another one, or install python3-venv."
    echo "$PYTHON"
    return
  fi
  for candidate in python3 python3.{12,11,13,10} python; do
    if usable_version "$candidate" >/dev/null; then
      echo "$candidate"
      return
    fi
  done
  fail "found no Python 3.10 to 3.13 with venv; install one (Debian, Ubuntu: \
python3 and python3-venv) or set PYTHON to its path."
}

# Makes .venv, unless there is one that works and is of the Python asked for.
make_venv() {
  local python version
  version=$(usable_version "$venv_python") || version=''
  if [[ -n $version && (-z ${PYTHON:-} ||
    $version == $(usable_version "$PYTHON")) ]]; then
    return
  fi
  python=$(find_python)
  echo "Making .venv with $python ($(usable_version "$python"))." >&2
  "$python" -m venv --clear .venv ||
    fail "$python could not make .venv; see above, or set PYTHON to another."
}

# Returns whether NVIDIA's driver runs on this machine. Takes where the file system
# begins.
has_nvidia_driver() {
  local root=${1:-} device
  [[ ! -e $root/proc/driver/nvidia/version ]] || return 0
  for device in "$root"/dev/nvidia[0-9]*; do
    [[ ! -e $device ]] || return 0
  done
  [[ -z $root ]] && command -v nvidia-smi >/dev/null &&
    nvidia-smi -L 2>/dev/null | grep -q '^GPU '
}

# Prints what to install of files of requirements: TensorFlow brings CUDA only
# if it is asked to, and would compute on the CPU without it.
requirements_of() {
  if has_nvidia_driver; then
    sed 's/^tensorflow\([<>=]\)/tensorflow[and-cuda]\1/' "$@"
  else
    cat "$@"
  fi
}

# Prints what .venv holds once a file of requirements is installed.
state_of() {
  { requirements_of requirements.txt "$1" && cat .venv/pyvenv.cfg; } | cksum
}

# Installs a file of requirements, unless the stamp in .venv says that the same
# was installed for the same Python.
install_requirements() {
  local stamp=".venv/.installed-$1" state files
  state=$(state_of "$1")
  if [[ -f $stamp && $(<"$stamp") == "$state" ]]; then
    return
  fi
  echo "Installing $1 into .venv; this takes a few minutes." >&2
  # Beside each other, as one file includes the other.
  files=$(mktemp -d)
  requirements_of requirements.txt >"$files/requirements.txt"
  requirements_of "$1" >"$files/$1"
  "$venv_python" -m pip install -qq --disable-pip-version-check \
    -r "$files/$1" ||
    fail "pip could not install $1; see above, mend the cause, start again."
  rm -r "$files"
  echo "$state" >"$stamp"
}

# Makes .venv hold the given files' requirements. One start at a time.
prepare_environment() {
  local requirements
  exec 9<"$PWD"
  if command -v flock >/dev/null; then
    flock 9
  fi
  make_venv
  for requirements in "$@"; do
    install_requirements "$requirements"
  done
  exec 9<&-
}

# Downloads packages of Debian into the current, empty folder and unpacks them.
# Needs no root: where the machine's lists of packages do not serve, it fetches
# lists of its own.
unpack_packages() {
  local options=(-qq -o APT::Sandbox::User=root -o Acquire::Retries=1
    -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20)
  local get=(timeout 300 apt-get "${options[@]}")
  "${get[@]}" download "$@" || {
    mkdir -p lists/partial cache/archives/partial &&
      get+=(-o "Dir::State::Lists=$PWD/lists" -o "Dir::Cache=$PWD/cache") &&
      "${get[@]}" update &&
      "${get[@]}" download "$@"
  } || return 1
  local package
  for package in *.deb; do
    dpkg-deb -x "$package" unpacked || return 1
  done
}

# Makes sure that .data holds the archives of Debian's package.
prepare_archives() {
  local folder
  [[ ! -d $unpacked_archives ]] || return 0
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
  echo 'Downloading the package dataset-fashion-mnist (31 MB).' >&2
  mkdir -p .data
  folder=$(mktemp -d "$PWD/.data/download.XXXXXX")
  if (cd "$folder" && unpack_packages dataset-fashion-mnist) \
    >.data/download.log 2>&1; then
    mv -T "$folder/unpacked" "$unpacked"
  else
    echo 'That failed; .data/download.log says why.' >&2
  fi
  rm -rf "$folder"
  [[ -d $unpacked_archives ]]
}
