"""What must not be forgotten: the inbox, the journal, and who may write them."""
