"""What really happened, learned later: read truth files, join them with predictions, measure."""

from tidemill_jobs.truth.files import TruthFile, read_truth
from tidemill_jobs.truth.joining import Joined, join
from tidemill_jobs.truth.measuring import Measured, measure_window

__all__ = ["Joined", "Measured", "TruthFile", "join", "measure_window", "read_truth"]
