"""Names kinds of documents in English; light, for commands that read the log and no rules."""


def kind_in_words(kind: str) -> str:
    """Return the words for a kind of document: `deal`, `item of smart process 147`."""
    if kind.startswith("list_"):
        return f"element of list {kind.removeprefix('list_')}"
    number = kind.removeprefix("item_")
    return kind if number == kind else f"item of smart process {number}"
