"""What a driver looks after besides judging: clocks, and whether its portal is as expected."""
