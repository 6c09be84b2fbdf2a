"""`images`: which command a container image stands for on the local cloud."""

import shlex
from pathlib import Path

import click

from tidemill_cli.cloud import launcher, state_option
from tidemill_cli.output import put_json, table
from tidemill_cli.session import Session, shared_options


@click.group()
def images() -> None:
    """Show or say what container images stand for on the local cloud."""


@images.command("list")
@state_option
@shared_options
@click.pass_obj
def list_images(session: Session, state: Path | None) -> None:
    """Show what the local cloud can run, and as which command."""
    found = launcher().known_images(state)
    rows = [
        {"image": one.image, "command": list(one.command), "ours": one.ours, "runs": one.runs}
        for one in found
    ]
    if session.as_json:
        put_json(rows)
        return
    for line in table(rows, {"image": "image", "runs": "runs as"}):
        click.echo(line)


@images.command()
@click.argument("image")
@click.argument("command", nargs=-1, required=True)
@state_option
@shared_options
@click.pass_obj
def add(session: Session, image: str, command: tuple[str, ...], state: Path | None) -> None:
    """Have IMAGE stand for COMMAND, which comes after `--`."""
    launcher().name_image(image, command, state)
    _put(session, image, list(command), f"{image} stands for: {shlex.join(command)}")


@images.command()
@click.argument("image")
@state_option
@shared_options
@click.pass_obj
def remove(session: Session, image: str, state: Path | None) -> None:
    """Have IMAGE stand for nothing any more."""
    launcher().forget_image(image, state)
    _put(session, image, None, f"{image} stands for nothing any more")


def _put(session: Session, image: str, command: list[str] | None, said: str) -> None:
    if session.as_json:
        put_json({"image": image, "command": command})
    else:
        click.echo(said)
