"""
What a container image means on a machine without containers: a command.

Some images are built in, known by their repository under any registry and tag. Others are named
in `<state directory>/images.json`:
`{"<image URI, with or without tag>": ["python", "/path/to/train.py"]}`, which `tidemill images`
shows and changes. What is named there goes before what is built in. A Python alone, such as
`["/home/me/torch/bin/python"]`, stands for script mode in it. An image that nobody knows is run by
docker or finch, where one of them answers.
"""

import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidemill_local import container_tools
from tidemill_local.built_in_images import BUILT_IN, BuiltInImage, script_command

_PYTHONS = ("python", "python3")
_A_PYTHON = re.compile(r"python3?(\.\d+)?")
_TOOLS = Path(__file__).with_name("containers") / "bin"  # what an image with Python has besides


class UnknownImageError(Exception):
    """No command is known for an image; the message says how to give one."""


@dataclass(frozen=True, slots=True)
class Image:
    """
    An image that the local cloud can run.

    Attributes:
        image: What it is known by.
        command: What it stands for.
        ours: It is built in.
        runs: How it runs, in words.
    """

    image: str
    command: tuple[str, ...]
    ours: bool
    runs: str


def known(root: Path) -> list[Image]:
    """
    Return all images that can be run, the built-in ones first.

    Raises:
        UnknownImageError: images.json cannot be read.
    """
    ours = [
        Image(one.repository, one.command, ours=True, runs=one.runs) for one in BUILT_IN.values()
    ]
    named = sorted(_named_images(root).items())
    tool = container_tools.find()
    if tool is not None:
        runs = f"the image itself, by {Path(tool.path).name}"
        ours.append(Image("any other", (tool.path, "run"), ours=True, runs=runs))
    return ours + [_added(uri, words) for uri, words in named]


def name(root: Path, image: str, command: Sequence[str]) -> None:
    """
    Have *image* stand for *command* from the next job on; it replaces what the image stood for.

    Raises:
        UnknownImageError: images.json cannot be read.
    """
    _change(root, lambda named: named.update({image: list(command)}))


def forget(root: Path, image: str) -> None:
    """
    Have *image* stand for nothing any more.

    Raises:
        UnknownImageError: It did not, or images.json cannot be read.
    """
    if image not in _named_images(root):
        raise UnknownImageError(
            f"{image} is not among the images that were added; `tidemill images list` shows them"
        )
    _change(root, lambda named: named.pop(image, None))


def command_for(root: Path, image: str, *, script: bool = False) -> list[str]:
    """
    Return the command that stands for running an image with its own entrypoint.

    Args:
        root: The service's state directory, where `images.json` may lie.
        image: The image's URI.
        script: The caller brings a program of its own, for which any Python will do.

    Raises:
        UnknownImageError: Neither built in nor in images.json, or images.json cannot be read.
    """
    words = _words_for(root, image)
    if words is not None:
        return list(_added(image, words).command)
    ours = built_in(image)
    if ours is not None:
        return list(ours.command)
    tool = container_tools.find()
    if tool is not None:
        return tool.command(image, [])
    if script:
        return list(script_command(sys.executable))
    raise UnknownImageError(
        f"the local cloud has no command for the image {image}, and neither docker nor finch "
        "answers here, which could run it; say what it stands for: "
        f"tidemill images add {image} -- python /path/to/program.py"
    )


def built_in(image: str) -> BuiltInImage | None:
    """Return the image that the local cloud brings along under this URI's repository, if any."""
    return BUILT_IN.get(_without_tag(image).rpartition("/")[2])


def search_path(root: Path, image: str, path: str) -> str:
    """
    Return the PATH of an image's programs: first its Python, with `python3` and `pip`.

    Args:
        root: The service's state directory.
        image: The image's URI.
        path: What comes after.

    Raises:
        UnknownImageError: images.json cannot be read.
    """
    words = _words_for(root, image)
    python = words[0] if words is not None and _is_python(words) else sys.executable
    places = [str(Path(python).parent)] if os.path.isabs(python) else []  # noqa: PTH117
    return os.pathsep.join([*places, str(_TOOLS), path])


def container_command(
    root: Path,
    image: str,
    entrypoint: Sequence[str],
    arguments: Sequence[str],
    *,
    script: bool = False,
) -> list[str]:
    """
    Return the command for a job's image, ContainerEntrypoint and ContainerArguments.

    An entrypoint replaces the image's own command, as in SageMaker. One that begins with `python`
    or `python3` is run by the image's Python, or by this one if we know no image of the name.

    Raises:
        UnknownImageError: The image would have to be known.
    """
    words = _words_for(root, image)
    if entrypoint and entrypoint[0] in _PYTHONS:
        python = words[0] if words is not None and _is_python(words) else entrypoint[0]
        return [*_with_this_python([python, *entrypoint[1:]]), *arguments]
    if entrypoint and words is None and built_in(image) is None:
        tool = container_tools.find()
        if tool is not None:
            return [*tool.command(image, list(entrypoint)), *arguments]
    command = command_for(root, image, script=script)
    return [*(entrypoint or command), *arguments]


def _words_for(root: Path, image: str) -> list[str] | None:
    """Return what was said of an image, with its tag or without."""
    named = _named_images(root)
    return named.get(image) or named.get(_without_tag(image))


def _added(uri: str, words: list[str]) -> Image:
    words = _with_this_python(words)
    if _is_python(words):
        runs = f"a script of yours, in {words[0]}"
        return Image(uri, script_command(words[0]), ours=False, runs=runs)
    return Image(uri, tuple(words), ours=False, runs=shlex.join(words))


def _is_python(words: Sequence[str]) -> bool:
    return len(words) == 1 and _A_PYTHON.fullmatch(Path(words[0]).name) is not None


def _with_this_python(command: Sequence[str]) -> list[str]:
    first, *rest = command
    return [sys.executable if first in _PYTHONS else first, *rest]


def _without_tag(image: str) -> str:
    name = image.partition("@")[0]
    repository, colon, tag = name.rpartition(":")
    return repository if colon and "/" not in tag else name  # a port's colon is not a tag's


def _named_images(root: Path) -> dict[str, list[str]]:
    path = root / "images.json"
    try:
        document: Any = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UnknownImageError(f"{path} cannot be read: {error}; correct it") from error
    if not isinstance(document, dict) or not all(map(_is_command, document.values())):
        raise UnknownImageError(f"{path} must map each image to a list of words, its command")
    return document


def _change(root: Path, change: Callable[[dict[str, list[str]]], object]) -> None:
    """Write images.json anew, whole or not at all: a job may begin just now."""
    named = _named_images(root)
    change(named)
    root.mkdir(parents=True, exist_ok=True)
    draft = root / "images.json.new"
    draft.write_text(json.dumps(named, indent=2) + "\n")
    draft.replace(root / "images.json")


def _is_command(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(word, str) for word in value)
