"""The AWS CLI, pointed at a local cloud; see aws_shell.py."""

import json
import os
import re
import subprocess
from pathlib import Path

CLI = Path(__file__).parents[3] / ".tools" / "aws" / "bin"


class CommandLine:
    """
    Runs `aws` commands. Call it with the words, options as keywords.

    `aws("describe-model", model_name="m")` is `aws sagemaker describe-model --model-name m`.
    What is no text is given as JSON; True is an option without a value.
    """

    def __init__(self, endpoint, account, region):
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": account,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
        }
        self._shell = subprocess.Popen(
            [CLI / "python", "-W", "ignore", Path(__file__).with_name("aws_shell.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._environment,
            text=True,
        )

    def close(self):
        self._shell.stdin.close()
        self._shell.wait(30)
        self._shell.stdout.close()

    def __call__(self, *words, service="sagemaker", **options):
        """Return the document it prints, or None when it prints none."""
        done = self._run(service, words, options)
        assert done["status"] == 0, f"{words}: {done['errors']}"
        return json.loads(done["printed"]) if done["printed"].strip() else None

    def refused(self, *words, service="sagemaker", **options):
        """Return (error code, message) of what AWS refused."""
        done = self._run(service, words, options)
        told = re.search(
            r"An error occurred \((\w+)\) when calling the \w+ operation: (.*)",
            done["errors"],
            re.DOTALL,
        )
        assert done["status"] != 0, done
        assert told, done
        return told[1], told[2].strip()

    def paged(self, *words, listed, name, **options):
        """Return the names a list has when it is asked for two at a time, as `--max-items` does."""
        found, token = [], {}
        while True:
            page = self(*words, max_items="2", **options, **token)
            assert len(page[listed]) <= 2
            found += [entry[name] for entry in page[listed]]
            if "NextToken" not in page:
                return found
            token = {"starting_token": page["NextToken"]}

    def gives_up(self, *words, **options):
        """Return what a `wait` says that does not come to what it waits for."""
        done = self._run("sagemaker", words, options)
        assert done["status"] != 0, done
        return done["errors"].strip()

    def process(self, *words):
        """Run the `aws` program itself; return the document it prints."""
        done = subprocess.run(
            [CLI / "aws", *words],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        return json.loads(done.stdout)

    def _run(self, service, words, options):
        line = [service, *words]
        for name, value in options.items():
            line.append("--" + name.rstrip("_").replace("_", "-"))
            if value is not True:
                line.append(value if isinstance(value, str) else json.dumps(value))
        self._shell.stdin.write(json.dumps(line) + "\n")
        self._shell.stdin.flush()
        answer = self._shell.stdout.readline()
        assert answer, "the CLI's shell has ended"
        return json.loads(answer)
