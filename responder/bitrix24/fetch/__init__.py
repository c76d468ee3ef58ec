"""The facts of documents and workflows, read from the portal."""
