"""
The AWS CLI as a shell: command lines come in, what each prints and its exit status go out.

Run by the CLI's own Python. Starting `aws` costs a second; here one start serves a whole test file.
Its waiters look every 30 to 120 seconds, which are cut short: what they ask and conclude is theirs.
"""

import io
import json
import sys
import time
from contextlib import redirect_stderr, redirect_stdout

from awscli.clidriver import create_clidriver

_LONGEST_SLEEP = 0.05


def run(driver, words):
    """Run one command line."""
    printed, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(printed), redirect_stderr(errors):
        try:
            status = driver.main(words)
        except SystemExit as left:
            status = left.code
    return {"status": status, "printed": printed.getvalue(), "errors": errors.getvalue()}


def main():
    """Answer each line of JSON (a list of words) with a line of JSON."""
    sleep = time.sleep
    time.sleep = lambda seconds: sleep(min(seconds, _LONGEST_SLEEP))
    driver = create_clidriver()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(run(driver, json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
