"""A processing script, as anyone's: it counts rows and says by what they are multiplied."""

import argparse
import json
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--times", type=int, default=1)
given = parser.parse_args()

rows = [
    line
    for file in sorted(Path("/opt/ml/processing/input/rows").iterdir())
    for line in file.read_text().split()
]
evaluation = {"rows": {"value": len(rows) * given.times}}
output = Path("/opt/ml/processing/output")
output.mkdir(parents=True, exist_ok=True)
(output / "evaluation.json").write_text(json.dumps(evaluation))
