from __future__ import annotations

from holdfast import __version__


def test_the_root_leads_everywhere(client, good):
    links = client.get("/").json()["links"].values()
    assert len(links) == 11
    for link in links:
        posted = link.startswith("/predict") or link == "/explain"
        body = {"customers": [good]} if link.endswith("batch") else good
        found = client.post(link, json=body) if posted else client.get(link)
        assert found.status_code == 200, link


def test_who_asks_for_nothing_that_is_there_is_led_to_the_page_of_every_address(client):
    lost = client.get("/nothing/here").json()
    assert lost["hint"] == "GET /docs shows every address."
    shown = client.get("/openapi.json").json()["paths"]  # which that page is made from
    assert shown.keys() >= {"/predict", "/jobs/score", "/predictions", "/models"}


def test_health_counts_what_was_answered(client):
    before = client.get("/health").json()
    client.get("/nowhere")
    client.get("/livez")
    after = client.get("/health").json()
    assert after["requests"] == before["requests"] + 3
    assert after["error_rate"] == 0.0
    assert after["version"] == __version__
    assert 0 <= before["uptime_seconds"] <= after["uptime_seconds"] < 600


def test_model_info_describes_the_model_and_its_contract(client, columns):
    info = client.get("/model_info").json()
    assert info["threshold"] == 0.3
    assert info["recipe"] == "fake"
    assert info["metrics"] == {"roc_auc": 0.85}
    assert [column["name"] for column in info["contract"]["columns"]] == list(columns)
    tenure = {"name": "tenure", "kind": "integer", "meaning": "tenure_months", "min": 0.0, "max": 720.0}
    assert info["contract"]["columns"][2] == tenure | {"required": True}
    assert info["contract"]["id_column"] == "Customer No."


def test_metrics_and_importance_are_the_model_s_own(client, shop):
    model = shop.models[1]
    assert client.get("/model_metrics").json().items() >= model.metrics.items()
    assert client.get("/feature_importance").json()["features"] == model.importance
