"""A training script, as anyone's: SageMaker's folders, its variables, and its own arguments."""

import argparse
import json
import os
import sys
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--slope", type=float, default=1)
parser.add_argument("--label", default="")
given, _ = parser.parse_known_args()

rows = [
    [float(cell) for cell in line.split(",")]
    for file in sorted(Path(os.environ["SM_CHANNEL_TRAIN"]).iterdir())
    for line in file.read_text().split()
]
model = {"slope": given.slope, "label": given.label, "rows": len(rows)}
Path(os.environ["SM_MODEL_DIR"], "model.json").write_text(json.dumps(model))
sys.stdout.write(f"score={given.slope * len(rows)};\n")
