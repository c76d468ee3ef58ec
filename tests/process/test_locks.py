"""What `uv run` takes is what is locked, and what is locked is what was tested."""

import re
import tomllib
from pathlib import Path

import uvicorn

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = (ROOT / "requirements.lock").read_text()


def locked() -> list[str]:
    return re.findall(r"^([a-z0-9-]+==\S+)", LOCK, re.MULTILINE)


def test_the_constraints_are_what_is_locked() -> None:
    assert len(locked()) > 20
    assert PROJECT["tool"]["uv"]["constraint-dependencies"] == locked()


def test_uvicorn_ends_at_the_minor_version_that_is_tested() -> None:
    (wanted,) = [one for one in PROJECT["project"]["dependencies"] if one.startswith("uvicorn")]
    major, minor, _ = uvicorn.__version__.split(".")
    assert wanted == f"uvicorn>={major}.{minor},<{major}.{int(minor) + 1}"
    assert f"uvicorn=={uvicorn.__version__}" in locked()
