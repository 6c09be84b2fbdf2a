"""`python -m tidemill_local.containers IMAGE train|serve`: run as that image would."""

import importlib
import sys

from tidemill_local.containers.contract import Container, UserError

_SCRIPTS = "tidemill_local.containers.scripts"
_PROGRAMS = {
    ("script", "train"): f"{_SCRIPTS}.train",
    ("script", "serve"): f"{_SCRIPTS}.serve",
    ("xgboost", "train"): "tidemill_local.containers.xgboost.train",
    ("xgboost", "serve"): "tidemill_local.containers.xgboost.serve",
}


def main() -> None:
    """Run the program that the first two arguments name; exit 1 with a failure file if it fails."""
    name = tuple(sys.argv[1:3])
    if len(name) != len(("image", "program")) or name not in _PROGRAMS:
        known = ", ".join(" ".join(key) for key in _PROGRAMS)
        sys.exit(f"{' '.join(sys.argv[1:]) or 'nothing'} is no program of ours; there is: {known}")
    container = Container.here()
    module = _PROGRAMS[name]
    if name[1] == "train" and container.has_script():
        module = f"{_SCRIPTS}.train"  # an algorithm's image takes scripts too
    try:
        importlib.import_module(module).main(container)
    except UserError as error:
        container.fail(str(error))
        sys.stderr.write(f"{error}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
