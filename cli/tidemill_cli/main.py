"""The `tidemill` command: one verb per intention."""

import click

from tidemill_cli import (
    baselines,
    cloud,
    contract,
    dlq,
    doctor,
    drift,
    faults,
    images,
    ledger,
    logs,
    models,
    plan,
    predictions,
    quarantine,
    runs,
    specs,
    truths,
    uploads,
    versions,
    watch,
    why,
)
from tidemill_cli.session import Program, Session, shared_options

#: Verbs by what they are about, in the order of --help and of docs/cli.md.
SECTIONS: dict[str, tuple[click.Command, ...]] = {
    "The local cloud": (
        cloud.up,
        cloud.down,
        cloud.status,
        cloud.env,
        images.images,
        faults.fault,
    ),
    "Models and data": (
        specs.init,
        specs.spec,
        plan.plan,
        models.apply,
        models.models,
        uploads.upload,
        contract.contract,
        quarantine.quarantine,
        models.delete,
    ),
    "Runs": (runs.start, runs.recheck, runs.runs, logs.logs, runs.follow, runs.wait, why.why),
    "Versions": (
        versions.versions,
        versions.approve,
        versions.reject,
        versions.rollback,
        baselines.baseline,
        predictions.predict,
    ),
    "Traffic": (watch.watch, drift.drift, truths.truth, truths.quality),
    "Operation": (doctor.doctor, dlq.dlq, ledger.ledger),
}


class Tidemill(Program):
    """Lists the verbs in sections."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click passes it
        """Return the verbs in the order of the sections."""
        return [command.name or "" for verbs in SECTIONS.values() for command in verbs]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each section with its verbs."""
        width = max(map(len, self.list_commands(ctx)))
        limit = formatter.width - 6 - width
        for title, verbs in SECTIONS.items():
            rows = [
                ((verb.name or "").ljust(width), verb.get_short_help_str(limit)) for verb in verbs
            ]
            with formatter.section(title):
                formatter.write_dl(rows)


@click.group(
    "tidemill",
    cls=Tidemill,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 yes, 1 no, 2 malformed input, 3 cannot reach. docs/cli.md has it all.",
)
@shared_options
@click.version_option(package_name="tidemill", message="%(prog)s %(version)s")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Drop data in S3; get a better endpoint."""
    ctx.ensure_object(Session)


def verbs() -> dict[str, click.Command]:
    """Return every verb by its whole name, such as `up` and `dlq show`, in the help's order."""
    found: dict[str, click.Command] = {}
    for command in (command for section in SECTIONS.values() for command in section):
        name = str(command.name)
        below = command.commands if isinstance(command, click.Group) else None
        found |= {f"{name} {sub}": below[sub] for sub in below} if below else {name: command}
    return found


for _verbs in SECTIONS.values():
    for _verb in _verbs:
        main.add_command(_verb)
