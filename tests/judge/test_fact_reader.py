"""A round has no document for whose sake a request is made that reads a few others at most."""

import pytest

from responder.judge import fact_reader


@pytest.mark.parametrize(
    ("documents", "read"),
    [
        (0, 0),
        (100, 100),
        (2_350, 2_350),
        (2_351, 2_350),
        (3_500, 2_350),
        (3_525, 3_525),  # half of what one more request reads
        (4_000, 4_000),
    ],
)
def test_a_request_is_made_for_many_documents_or_not_at_all(documents: int, read: int) -> None:
    assert fact_reader.in_whole_requests(documents) == read
