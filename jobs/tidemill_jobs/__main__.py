"""
The image's entry point: `python -m tidemill_jobs check|prepare|train|evaluate|serve|watch|analyze`.

`facts FILE` looks at a local file and `judge FACTS` judges it, outside any container.

Exit status: 0 done, 1 failed, 2 called wrongly, 3 the data was refused. Why stands in
/opt/ml/output/failure and /opt/ml/output/message, as one sentence for the owner of the data.
"""

import importlib
import logging
import sys
from collections.abc import Sequence

from tidemill_jobs.container import Container
from tidemill_jobs.errors import JobError, RefusedError

COMMANDS = ("check", "prepare", "train", "evaluate", "serve", "watch", "analyze")
#: What runs outside any container, by its module.
BY_HAND = {"facts": "facts", "judge": "judgement", "truth": "truth.by_hand"}
FAILED, USAGE, REFUSED = 1, 2, 3

log = logging.getLogger("tidemill_jobs")


def run(container: Container, arguments: Sequence[str]) -> int:
    """Run one command and return the exit status."""
    command = arguments[0] if arguments else ""
    if command not in COMMANDS:
        container.fail(f"'{command}' is no command; the image knows {', '.join(COMMANDS)}.")
        return USAGE
    try:
        # Imported here: serving must not pay for what training needs.
        module = importlib.import_module(f"tidemill_jobs.{command}")
        module.main(container, arguments[1:])
    except RefusedError as exc:
        log.warning("refused: %s", exc)
        container.fail(f"Refused: {exc}")
        return REFUSED
    except JobError as exc:
        log.error("%s failed: %s", command, exc)  # noqa: TRY400  # a sentence says more than a traceback
        container.fail(f"{exc}")
        return FAILED
    except Exception as exc:
        log.exception("%s failed", command)
        container.fail(
            f"{command} failed with {type(exc).__name__}: {exc}. This is a fault of Tidemill's or "
            "of its surroundings, not of the data; the job's log has the details."
        )
        return FAILED
    return 0


def main() -> None:
    """Run the command that the process was started with."""
    if by_hand := BY_HAND.get(sys.argv[1] if sys.argv[1:] else ""):
        sys.exit(importlib.import_module(f"tidemill_jobs.{by_hand}").main(sys.argv[2:]))
    logging.basicConfig(
        stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    sys.exit(run(Container.here(), sys.argv[1:]))


if __name__ == "__main__":
    main()
