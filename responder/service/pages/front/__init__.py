"""The front page: what needs somebody, and pictures of what happened."""
