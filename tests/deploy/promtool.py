"""Runs Prometheus's own tool on files and metrics. Debian packages it."""

import shutil
import subprocess

import pytest

PROMTOOL = shutil.which("promtool")

needs_promtool = pytest.mark.skipif(
    PROMTOOL is None,
    reason="promtool is not there (Debian: `apt-get install promtool`, or prometheus)",
)


def promtool(*words: str, given: bytes | None = None) -> "subprocess.CompletedProcess[bytes]":
    """Run the tool, and return its exit code and output."""
    assert PROMTOOL is not None
    return subprocess.run(
        [PROMTOOL, *words], input=given, capture_output=True, timeout=60, check=False
    )
