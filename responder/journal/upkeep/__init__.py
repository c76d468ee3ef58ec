"""What is done with a log over the years: pruned, erased from, moved, copied."""
