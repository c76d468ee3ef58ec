"""Says what starting a workflow anew brings back, and what it does not."""

NOT_UNDONE = (
    "A new workflow begins at its first step, with the template as it is now. This is as near to "
    "undoing as Bitrix24 allows.",
    "Its parameters are those that the template has by default, and the portal shows the user of "
    "our webhook or application as the one who started it: neither is kept of what was stopped, "
    "nor is what people had answered in it.",
)
JUDGED_FIRST = (
    "The document is judged first: where the rules that act would condemn the new workflow, "
    "nothing is started."
)
ANYWAY = (
    "The rules are not asked. Where they condemn it, it is stopped again at the next event or "
    "sweep, unless you change them first."
)


def caveats(*, anyway: bool) -> tuple[str, ...]:
    """Return what a person reads before it is started, in sentences."""
    return (*NOT_UNDONE, ANYWAY if anyway else JUDGED_FIRST)
