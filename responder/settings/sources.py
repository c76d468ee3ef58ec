"""Finds the `RESPONDER_` variables in the three places that may hold them.

The later place wins: the files of the secrets directory (`RESPONDER_SECRETS_DIR`, by default
`/run/secrets` where it exists; a file is named like the variable and holds its value), `.env` in
the working directory, the environment. Other names in these places are ignored.
"""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

from dotenv import dotenv_values

PREFIX = "RESPONDER_"
SECRETS_DIR = "RESPONDER_SECRETS_DIR"
DATABASE_URL = "RESPONDER_DATABASE_URL"
TIMEZONE = "RESPONDER_TIMEZONE"
DEFAULT_DATABASE_URL = "sqlite:///responder.db"
EMPTY_DATABASE_URL = f"{DATABASE_URL} is empty: leave it out for a SQLite file, responder.db"

_DEFAULT_SECRETS_DIR = "/run/secrets"
_LARGEST_SECRET_FILE = 64 * 1024


def gather(environ: Mapping[str, str], env_file: Path | None) -> tuple[dict[str, str], list[str]]:
    """Return our variables, upper case, from all places, and the problems in reading them."""
    problems: list[str] = []
    outer = _ours(_dotenv(env_file, problems), ".env", problems)
    outer |= _ours(environ, "the environment", problems)
    files = _secret_files(outer.get(SECRETS_DIR), problems)
    return _ours(files, "the secrets directory", problems) | outer, problems


def database_url(environ: Mapping[str, str], env_file: Path | None) -> tuple[str, list[str]]:
    """Return the database's address and its problems, for commands that only read the log.

    No other setting is checked, nor even read where the environment has the address.
    """
    problems: list[str] = []
    alone = {name: value for name, value in environ.items() if name.upper() == DATABASE_URL}
    given = _ours(alone, "the environment", problems)
    if not given:
        given, found = gather(environ, env_file)
        problems += [*filter(_concerns_all, found), *_misspelt(given)]
    url = given.get(DATABASE_URL, DEFAULT_DATABASE_URL)
    return url, problems if url else [*problems, EMPTY_DATABASE_URL]


def timezone(environ: Mapping[str, str], env_file: Path | None) -> str:
    """Return the name of the time zone for people, whatever is wrong with other settings."""
    given = {name: value for name, value in environ.items() if name.upper() == TIMEZONE}
    found = _ours(given, "the environment", []) or gather(environ, env_file)[0]
    return found.get(TIMEZONE) or "UTC"


def _concerns_all(problem: str) -> bool:
    """Return whether a problem is with a whole place, or with a variable that is needed here."""
    variable = problem.partition(" ")[0]
    return not variable.startswith(PREFIX) or variable in (DATABASE_URL, SECRETS_DIR)


def _misspelt(given: Mapping[str, str]) -> Iterator[str]:
    """Yield a problem for each name that probably means the database's address."""
    # Without this, another log would be read, and nothing would say so.
    if DATABASE_URL in given:
        return
    # Compared without the prefix that all names share.
    names = [name.removeprefix(PREFIX) for name in given]
    for near in get_close_matches(DATABASE_URL.removeprefix(PREFIX), names, cutoff=0.75):
        yield f"{PREFIX}{near} is not a setting; did you mean {DATABASE_URL}?"


def _ours(values: Mapping[str, str], place: str, problems: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in values.items():
        variable = name.upper()
        if not variable.startswith(PREFIX):
            continue
        if variable in found:
            problems.append(f"{variable} stands in {place} twice, in two spellings")
        found[variable] = value.strip()
    return found


def _dotenv(path: Path | None, problems: list[str]) -> dict[str, str]:
    if path is None or not path.is_file():
        return {}
    try:
        values = dotenv_values(path, interpolate=False, encoding="utf-8-sig")
    except OSError as error:
        problems.append(f"{path.name} cannot be read: {error.strerror}")
        return {}
    except UnicodeDecodeError:
        problems.append(f"{path.name} is not UTF-8 text")
        return {}
    return {name: value or "" for name, value in values.items()}


def _secret_files(given: str | None, problems: list[str]) -> dict[str, str]:
    directory = Path(given or _DEFAULT_SECRETS_DIR)
    if not directory.is_dir():
        if given:
            problems.append(f"{SECRETS_DIR} is not a directory")
        return {}
    try:
        files = [file for file in directory.iterdir() if file.name.upper().startswith(PREFIX)]
    except OSError as error:
        problems.append(f"{SECRETS_DIR} cannot be read: {error.strerror}")
        return {}
    return dict(_contents(files, problems))


def _contents(files: Iterable[Path], problems: list[str]) -> Iterator[tuple[str, str]]:
    for file in sorted(files):
        variable = file.name.upper()
        try:
            if file.stat().st_size > _LARGEST_SECRET_FILE:
                problems.append(f"{variable} stands in a file that is too large for a secret")
            else:
                yield file.name, file.read_text(encoding="utf-8")
        except OSError as error:
            problems.append(f"{variable} stands in a file that cannot be read: {error.strerror}")
        except UnicodeDecodeError:
            problems.append(f"{variable} stands in a file that is not UTF-8 text")
