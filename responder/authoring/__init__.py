"""The authoring room: what the people who write rules run."""
