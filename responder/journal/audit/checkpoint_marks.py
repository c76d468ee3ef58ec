"""Compares checkpoints with a chain's newest prune, and finds entries that were pruned wrongly.

A prune removes entries, which can then no longer be examined. So that nobody hides what happened
lately by a prune of his own, a prune must show that what it removed was old enough:

- it names the days that were kept (at least one), and the instant before which all that it removed
  was written: no later than so many days before the prune itself;
- it leaves the last entry that was old enough where it is: the first entry of a chain that was
  pruned was written before that instant, and so was every entry before it;
- it may have removed an entry that a checkpoint shows only where that was written before it, too;
- it is not dated in the future.

A prune of a version that named no days need not show anything, unless a checkpoint with a time was
made before it: the version that writes those names the days. A checkpoint without a time proves
nothing of what was pruned, unless all of it was made before that instant.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from responder.journal.chain_ends import BadEntry, End

_CLOCKS_DIFFER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Mark:
    """An entry as a checkpoint has it: its hash, and when it was written.

    `at` is None where the checkpoint is of an older version; `by` is when the checkpoint was made.
    """

    hash: str
    at: datetime | None = None
    by: datetime | None = None

    def is_before(self, instant: datetime) -> bool | None:
        """Return whether the entry was written before an instant; None where that is not known."""
        if self.at is not None:
            return self.at <= instant  # both are cut to milliseconds
        return True if self.by is not None and self.by <= instant else None


Marks = Mapping[int, Mark]


def proves(mark: Mark, seq: int, base: End) -> bool:
    """Return whether a mark can be compared with a chain that begins after its base."""
    if seq != base.seq or base.pruning is None:
        return seq >= base.seq
    return mark.is_before(base.pruning.before) is True


def wrongly_pruned(base: End, marks: Marks, now: datetime | None) -> BadEntry | None:
    """Return the newest prune as a bad entry where marks or the clock show that it is wrong."""
    pruning = base.pruning
    if pruning is None:
        return None
    if now is not None and pruning.at > now + _CLOCKS_DIFFER:
        return BadEntry(pruning.seq, "it prunes the log, and is dated in the future")
    for seq, mark in sorted(marks.items()):
        if seq <= base.seq and mark.is_before(pruning.before) is False:
            return BadEntry(
                pruning.seq,
                f"it says that entries up to {base.seq} were pruned, "
                f"but a checkpoint shows that {seq} was not old enough",
            )
        if pruning.days is None and mark.at is not None and seq < pruning.seq:
            return BadEntry(
                pruning.seq,
                "it prunes the log and does not say how many days were kept, "
                "as a version before the checkpoint's did",
            )
    return None
