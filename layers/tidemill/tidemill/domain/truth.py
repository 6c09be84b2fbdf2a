"""The verdict on one truth file: accept, quarantine or ignore, always with a reason."""

from tidemill.domain.admission import ObjectVersion, Verdict
from tidemill.domain.placement import TRUTH, Placement
from tidemill.domain.size import MIB, text_bytes

#: Of one file, as text, estimated: what a data function of 3,008 MB reads within its time.
MOST_BYTES = 200 * MIB
#: So far back are predictions and truth joined: a label may come a month late, and more.
RETENTION_DAYS = 45
#: Of the parts of predictions, and of those of labels, the newest of so many bytes are joined: some
#: two million rows of each. One million take 1 GB of the 3,008 MB that the function has.
MOST_PART_BYTES = 48 * MIB


def misplaced(placement: Placement | None) -> Verdict:
    """Say why a file under truth/ that no model takes is ignored."""
    if placement is None:
        return Verdict(
            "ignore",
            "outside every model's prefix; truth goes to truth/<project>/<model>/<file>",
            next_step="upload it again with `tidemill truth PROJECT/MODEL FILE`",
        )
    return Verdict(
        "ignore",
        f"there is no model {placement.ref}",
        next_step="write its model.yaml and run `tidemill apply`; "
        f"what already lies under {TRUTH}/{placement.ref}/ is then read by the next sweep",
    )


def too_large(version: ObjectVersion) -> Verdict | None:
    """Return the verdict on a file that is too large to be read at once, or None."""
    if text_bytes(version.key, version.size) <= MOST_BYTES:
        return None
    return Verdict(
        "quarantine",
        f"The file has {version.size:,} bytes, more than is read at once.",
        rule="too_large",
        next_step=f"Upload it in parts of at most {MOST_BYTES // MIB} MiB of text; their order "
        "does not matter.",
    )
