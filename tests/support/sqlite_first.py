"""Gives a file's tests SQLite, and PostgreSQL too where there is time (`-m long`).

It is for tests of what the portal does, what is decided and what is shown, of which the two
databases know nothing: what each of them does differently is tested on both, beside the rooms of
the store and the journal, and by the storms of `test_round_storm`. A file that imports it has it in
place of `migrated_url`.
"""

import pytest


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def migrated_url(request: pytest.FixtureRequest) -> str:
    """Give a database with the schema in it and nothing else."""
    name = "sqlite_url" if request.param == "sqlite" else "emptied_postgres"
    url: str = request.getfixturevalue(name)
    return url
