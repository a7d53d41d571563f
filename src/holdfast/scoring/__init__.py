"""Put tables through a model: whole files in flat memory, or one customer of a file.

The rows go through `holdfast.model` and nothing else, so a row gets the same answer here as over HTTP.
"""

from holdfast.scoring.cache import AnswerCache
from holdfast.scoring.customer import Found, UnknownCustomerError, find_customer, find_row
from holdfast.scoring.destination import Destination, destination
from holdfast.scoring.explained import Explained, draw, explain_found, in_points
from holdfast.scoring.files import BATCH_ROWS, FileModel, score_file
from holdfast.scoring.online import MicroBatcher, OverloadedError
from holdfast.scoring.output import OutputError, answer_schema
from holdfast.scoring.summary import FileSummary

__all__ = [
    "BATCH_ROWS",
    "AnswerCache",
    "Destination",
    "Explained",
    "FileModel",
    "FileSummary",
    "Found",
    "MicroBatcher",
    "OutputError",
    "OverloadedError",
    "UnknownCustomerError",
    "answer_schema",
    "destination",
    "draw",
    "explain_found",
    "find_customer",
    "find_row",
    "in_points",
    "score_file",
]
