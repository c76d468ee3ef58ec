"""What is told in the portal: to whom, in which words, and how it is sent once and no more."""
