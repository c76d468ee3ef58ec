"""Starts a process as a container or a hardened unit has it, without Docker and systemd.

Its file system is read-only but for what is named, and it has no capability; where it is asked for,
memory can be written or executed but not both, and system calls that are not named are refused.
That needs root and Linux; a test that cannot have it is skipped, and says so.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Sequence
from ctypes.util import find_library
from pathlib import Path

import pytest

# within a mount namespace of its own, which ends with it
_READ_ONLY = """\
set -e
while [ "$1" != -- ]; do mount --bind "$1" "$1"; shift; done
shift
mount -o remount,ro,bind /
exec setpriv --bounding-set="$CAPABILITIES" --inh-caps=-all --no-new-privs "$@"
"""
# argv: the names of the allowed system calls as JSON, and the command
_FILTERED = """\
import ctypes, json, os, sys
assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0  # PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN
lib = ctypes.CDLL("libseccomp.so.2")
lib.seccomp_init.restype = ctypes.c_void_p
others_fail = ctypes.c_void_p(lib.seccomp_init(0x00050001))  # SCMP_ACT_ERRNO(EPERM)
for name in json.loads(sys.argv[1]):
    number = lib.seccomp_syscall_resolve_name(name.encode())
    if number >= 0:
        assert lib.seccomp_rule_add(others_fail, 0x7FFF0000, number, 0) == 0  # SCMP_ACT_ALLOW
assert lib.seccomp_load(others_fail) == 0
os.execv(sys.argv[2], sys.argv[2:])
"""


def confined(
    words: Sequence[str],
    *,
    writable: Sequence[Path] = (),
    calls: Collection[str] | None = None,
    capabilities: str = "-all",
) -> list[str]:
    """Return the command that runs a command so; skip the test where that cannot be.

    `calls` are the only system calls that it may make, and then no memory becomes executable.
    `capabilities` are those that it keeps, as `setpriv` has them.
    """
    if os.geteuid() != 0 or shutil.which("setpriv") is None or not _may_unshare():
        pytest.skip("confining a process needs root, unshare and setpriv")
    if calls is not None:
        if find_library("seccomp") is None:
            pytest.skip("refusing system calls needs libseccomp")
        words = [sys.executable, "-c", _FILTERED, json.dumps(sorted(calls)), *words]
    places = map(str, writable)
    script = _READ_ONLY.replace("$CAPABILITIES", capabilities)
    return ["unshare", "--mount", "sh", "-c", script, "sh", *places, "--", *words]


def _may_unshare() -> bool:
    done = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return done.returncode == 0
