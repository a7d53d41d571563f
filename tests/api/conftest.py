from __future__ import annotations

import json
import logging
import math
import shutil
import threading
from contextlib import ExitStack, contextmanager
from gzip import decompress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import TYPE_CHECKING

import polars as pl
import pytest
from fastapi.testclient import TestClient

from holdfast.api.app import create_app
from holdfast.api.intake import Intake
from holdfast.api.live import Live, Serving
from holdfast.contract import Contract
from holdfast.errors import HoldfastError
from holdfast.quality.conform import conform
from holdfast.registry import Registry, UnknownVersionError
from holdfast.settings import Settings
from holdfast.store import open_store

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = {
    "Customer No.": {"kind": "id"},
    "Monthly Charges": {"kind": "number", "meaning": "monthly_charge", "min": 0, "max": 1200},
    "tenure": {"kind": "integer", "meaning": "tenure_months", "min": 0, "max": 720},
    "Senior?": {"kind": "boolean", "true": "Yes", "false": "No"},
    "Plan": {"kind": "category", "levels": ["Basic", "Plus", "2"]},
    "City": {"kind": "category", "required": False},
    "Joined": {"kind": "date"},
    "Balance": {"kind": "number", "required": False},
    "Churn Reason": {"kind": "category", "exclude": "leak: known only afterwards"},
}
GOOD = {
    "Customer No.": "A-17",
    "Monthly Charges": 70.35,
    "tenure": 3,
    "Senior?": "No",
    "Plan": "Basic",
    "City": "Bonn",
    "Joined": "2024-03-01",
}


def contract_of(columns=None, **changes):
    facts = {
        "name": "customers",
        "churn": {"label": "Churn", "positive": "Yes", "negative": "No"},
        "economics": {"customer_value": 200, "contact_cost": 1, "offer_cost": 10, "success_rate": 0.3},
        "columns": columns or COLUMNS,
    }
    return Contract.model_validate(facts | changes)


class FakeModel:
    """Answers by a formula over the conformed row; ``bias`` tells versions apart."""

    def __init__(self, contract, version, bias=0.0):
        self.contract, self.version, self.bias = contract, version, bias
        self.name, self.threshold, self.history = contract.name, 0.3, None
        self.knows_survival = False
        self.manifest = {"created": "2026-01-31T12:00:00+00:00", "recipe": "fake", "holdfast": "0.1.0"}
        self.rarely_missing = frozenset({"tenure"})
        self.metrics = {"test": {"roc_auc": 0.85}, "test_intervals": {"roc_auc": [0.83, 0.87]}}
        self.importance = [{"feature": "tenure", "shap": 0.4, "permutation": 0.1, "unit": "months"}]

    def conform(self, frame, *, first_row=1, rows=None):
        return conform(frame, self.contract, first_row=first_row, rows=rows)

    def probability(self, frame):
        return [self._one(row) for row in frame.iter_rows()]

    def _one(self, row):
        total = self.bias
        for at, value in enumerate(row):
            if isinstance(value, str):
                total += sum(value.encode()) % 7 / 10
            elif value is not None:
                number = value.toordinal() if hasattr(value, "toordinal") else float(value)
                total += math.atan(number / 100) / (at + 1)
        return 1 / (1 + math.exp(-total))

    def answer(self, conformed, *, reasons=0):
        assert reasons == 0
        probability = pl.Series("churn_probability", self.probability(conformed.frame), dtype=pl.Float64)
        will_churn = probability >= self.threshold
        return pl.DataFrame([conformed.ids.alias("customer_id"), probability]).with_columns(
            will_churn=will_churn,
            risk_level=pl.when(will_churn).then(pl.lit("high")).otherwise(pl.lit("low")),
            recommendation=pl.lit("Contact"),
            model_version=pl.lit(self.version),
        )

    def score(self, frame):
        return self.answer(self.conform(frame))

    def explain(self, frame):
        names = ["tenure", "Monthly Charges", "Plan"]
        return pl.DataFrame(
            {
                "row": [1] * 3,
                "feature": names,
                "value": [str(frame[name][0]) for name in names],
                "unit": ["months", "a month", ""],
                "effect": [0.8, -0.5, 0.1],
                "points": [0.15, -0.1, 0.02],
                "direction": ["up", "down", "up"],
            }
        )


class DamagedError(HoldfastError):
    code = "artefact"


class Shop:
    """A registry of fake versions, and the loader that opens them."""

    def __init__(self, home: Path):
        self.home = home
        self.registry = Registry(home, verify=lambda _folder: None)
        self.models = {}
        self.broken = set()
        self.loads = []

    def add(self, contract=None, *, promote=True):
        """Register one more version, which becomes champion unless told otherwise."""
        contract = contract or contract_of()
        with self.registry.staging() as staged:
            (staged / "manifest.json").write_text(json.dumps({}))
            version = self.registry.register(
                staged,
                name=contract.name,
                recipe="fake",
                contract_digest=contract.digest(),
                data_digest="d" * 64,
                metrics={},
            )
        self.models[version.number] = FakeModel(contract, version.label, bias=version.number / 10)
        if promote:
            self.registry.promote(version.label)
        return version

    def load(self, version):
        self.loads.append(version.label)
        if version.number in self.broken:
            raise DamagedError("A file was changed.", where=str(self.home))
        return self.models[version.number]

    def live(self):
        return Live(self.registry, self.load)


@pytest.fixture(scope="session", autouse=True)
def _no_collection():
    """A server that begins has the collector look through all there is: here through all tests, each time."""
    idle = SimpleNamespace(**dict.fromkeys(("collect", "freeze", "unfreeze"), lambda: None))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("holdfast.api.app.gc", idle)
        yield


@pytest.fixture
def shop(tmp_path, sqlite_ready):
    (tmp_path / "home").mkdir()
    shutil.copy(sqlite_ready, tmp_path / "home" / "holdfast.db")
    made = Shop(tmp_path / "home")
    yield made
    made.registry.close()


@pytest.fixture
def open_client():
    """Opens a client of a service that follows a shop's registry."""
    opened = []

    def one(shop, **settings):
        app = create_app(shop.live(), Settings(home=shop.home, **settings), shop.registry.engine)
        client = TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50_000))
        client.__enter__()
        opened.append(client)
        return client

    yield one
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def client(shop, open_client):
    """A client of a service with one version."""
    shop.add()
    return open_client(shop)


@pytest.fixture
def good():
    return dict(GOOD)


@pytest.fixture(scope="session")
def columns():
    """The columns of the contract that tests use unless they make their own."""
    return COLUMNS


@pytest.fixture(scope="session")
def make_contract():
    """Makes a contract: of the usual columns unless others are given."""
    return contract_of


class NoRegistry:
    def champion_token(self):
        return None

    def resolve(self, ref):
        raise UnknownVersionError(f"There is no {ref}.")


@contextmanager
def servers(tmp_path_factory, ready):
    """What opens servers that end with the context.

    Each has an engine of its own: one that a test closes while a server still looks has connections that
    nobody closes any more.
    """
    with ExitStack() as stack:

        def one(model, *, home=None, url=None, **settings):
            live = Live(NoRegistry())
            live.current = Serving(model, Intake(model.contract))
            if home is None:
                home = tmp_path_factory.mktemp("home")
                shutil.copy(ready, home / "holdfast.db")
            opened = open_store(home, url)
            stack.callback(opened.dispose)
            app = create_app(live, Settings(home=home, **settings), opened)
            client = TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50_000))
            return stack.enter_context(client)

        yield one


@pytest.fixture
def serve_model(tmp_path_factory, sqlite_ready):
    """Opens a client of a service that has one model and no registry, for a test."""
    with servers(tmp_path_factory, sqlite_ready) as one:
        yield one


@pytest.fixture(scope="module")
def serve_module(tmp_path_factory, sqlite_ready):
    """As `serve_model`, for all tests of a module."""
    with servers(tmp_path_factory, sqlite_ready) as one:
        yield one


@pytest.fixture(scope="session")
def make_model():
    """Makes a model that answers by a formula."""
    return lambda contract=None, version="v1", bias=0.0: FakeModel(contract or contract_of(), version, bias)


@pytest.fixture
def lines(capsys):
    """Gives the lines that were logged since it was last asked, and sets logging back afterwards."""
    root, own = logging.getLogger(), logging.getLogger("holdfast")
    before = root.handlers, root.level, own.level

    def new():
        return capsys.readouterr().err.splitlines()

    yield new
    root.handlers = before[0]
    root.setLevel(before[1])
    own.setLevel(before[2])


@pytest.fixture
def collector():
    """A collector of OTLP over HTTP; gives its address and the bodies that it was sent."""
    bodies = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = decompress(body)
            bodies.append((self.path, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", bodies
        server.shutdown()
        thread.join()
