"""What these tests run."""

from click.testing import CliRunner, Result

from responder.commands.cli import main


def responder(*words: object, **settings: str) -> Result:
    """Run a command with these settings."""
    environment = {f"RESPONDER_{name}": value for name, value in settings.items()}
    return CliRunner().invoke(main, [str(word) for word in words], env=environment)
