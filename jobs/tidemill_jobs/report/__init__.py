"""The report of a look at an endpoint's traffic: one page, readable offline and on a phone."""

from tidemill_jobs.report.document import FILE_NAME, to_html
from tidemill_jobs.report.look import Earlier, Look, Past

__all__ = ["FILE_NAME", "Earlier", "Look", "Past", "to_html"]
