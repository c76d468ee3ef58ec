"""What is told in the portal: who, in which words, and how it is sent once and no more."""
