"""Rules and judgements: pure functions of their arguments, without waiting, clock or network."""
