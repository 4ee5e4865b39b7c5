"""What Quatrain's BUILD files load, as Bazel 4 has it built in."""

py_binary = native.py_binary
py_library = native.py_library
py_test = native.py_test
